/** A server's end of a connection whose far end does not behave: a wire that the test holds. */
import { afterEach, expect, test, vi } from "vitest";
import { Echo } from "../../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import {
  encodeHello,
  encodeRequestHead,
  FrameKind,
} from "../../../protos/gen/tricampus/svrkit/v1/frame_codec.ts";
import { NO_BYTES } from "../codec.ts";
import { GIVEN_UP_AFTER_MS, SESSION_BUFFERED_BYTES_MAX } from "../limits.ts";
import { silentLogger } from "../log.ts";
import { Server } from "../server.ts";
import { FrameWriter } from "./framing.ts";
import type { Wire, WireEvents } from "./wire.ts";

/** Nothing that is written to it is ever read. */
class StuckWire implements Wire {
  readonly remote = "stuck";
  readonly proved = undefined;
  bytes = 0;
  isClosed = false;
  #events: WireEvents | undefined;

  bufferedBytes(): number {
    return this.bytes;
  }

  write(chunk: Buffer): void {
    this.bytes += chunk.length;
  }

  close(): void {
    this.isClosed = true;
  }

  bind(events: WireEvents): void {
    this.#events = events;
  }

  markInside(): void {}

  async brings(write: (frames: FrameWriter) => void): Promise<void> {
    const frames = new FrameWriter();
    write(frames);
    this.#events!.data(frames.take(), performance.now());
    // Until what it is answered has been written.
    for (let turn = 0; turn < 4; turn++) await new Promise(setImmediate);
  }
}

const hello = { wireVersion: 1, process: "b/text", campus: "b" };
const sayHello = (frames: FrameWriter) =>
  frames.frame(FrameKind.HELLO, [encodeHello, hello], undefined);

function accepted(): StuckWire {
  const server = new Server({ process: "a/echo", campus: "a" }, silentLogger());
  server.add(Echo.echo, (request) => request);
  const wire = new StuckWire();
  server.accept(wire);
  return wire;
}

afterEach(() => {
  vi.useRealTimers();
});

test("session: a server waits for a Hello for a while, and then no longer", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const [silent, polite] = [accepted(), accepted()];
  await polite.brings(sayHello);
  vi.advanceTimersByTime(GIVEN_UP_AFTER_MS - 1);
  expect(silent.isClosed).toBe(false);
  vi.advanceTimersByTime(10 * GIVEN_UP_AFTER_MS);
  expect([silent.isClosed, polite.isClosed]).toEqual([true, false]);
});

const MIB = 1024 * 1024;
const ask = (method: number, payload: Uint8Array) => (frames: FrameWriter) => {
  const head = {
    ...{ callId: 1, method, timeoutMs: 10_000, operationId: NO_BYTES },
    ...{ ticket: NO_BYTES, caller: "text", trace: NO_BYTES, priority: 0 },
  };
  frames.frame(
    FrameKind.REQUEST,
    [encodeRequestHead, head],
    [Echo.echo.encodeRequest, { payload }],
  );
};

test.each([
  ["answers", ask(Echo.echo.hash, Buffer.alloc(MIB))],
  ["errors", ask(12_345, NO_BYTES)],
  ["pongs", (frames: FrameWriter) => frames.frame(FrameKind.PING, undefined, undefined)],
])("session: who takes no %s is let go, and nothing more is kept for it", async (_, asks) => {
  const wire = accepted();
  await wire.brings(sayHello);
  wire.bytes = SESSION_BUFFERED_BYTES_MAX - 3 * MIB;
  for (let i = 0; i < 3; i++) await wire.brings(asks);
  expect(wire.isClosed).toBe(false);
  wire.bytes = Math.max(wire.bytes, SESSION_BUFFERED_BYTES_MAX + 1);
  const { bytes } = wire;
  for (let i = 0; i < 10; i++) await wire.brings(asks);
  expect(wire.isClosed).toBe(true);
  expect(wire.bytes).toBe(bytes);
});
