/** Frames: cut anywhere they are the same frames, and broken ones end their own connection and no other. */
import assert from "node:assert/strict";
import { Echo } from "../../../protos/gen/tricampus/svrkit/v1/echo_codec.ts";
import {
  encodeHello,
  encodeRequestHead,
  FrameKind,
} from "../../../protos/gen/tricampus/svrkit/v1/frame_codec.ts";
import { CodecError, NO_BYTES } from "../codec.ts";
import { RpcError } from "../errors.ts";
import { FRAME_BYTES_MAX } from "../limits.ts";
import { silentLogger } from "../log.ts";
import type { Random } from "../seeded-random.ts";
import { Server } from "../server.ts";
import { FrameReader, FrameWriter } from "../transport/framing.ts";
import type { Wire, WireEvents } from "../transport/wire.ts";
import { mutated, randomBytes } from "./mutate.ts";

const FRAMES_MAX = 8;

/** So long that a text which repeats it has no room in a head any more. */
const LONG_CALLER = "c".repeat(65_500);

function requestHead(random: Random) {
  if (random.chance(0.03)) return { ...goodHead(), caller: LONG_CALLER };
  return {
    callId: random.index(1_000),
    method: random.chance(0.7) ? Echo.echo.hash : random.index(2 ** 32),
    timeoutMs: random.index(10_000),
    operationId: randomBytes(random, random.pick([0, 16])),
    ticket: randomBytes(random, random.index(100)),
    caller: random.pick(["", "text", "ü"]),
    trace: randomBytes(random, random.pick([0, 25, 24])),
    priority: random.index(2_000),
  };
}

function goodHead() {
  return {
    ...{ callId: 1, method: Echo.echo.hash, timeoutMs: 10_000, operationId: NO_BYTES },
    ...{ ticket: NO_BYTES, caller: "text", trace: NO_BYTES, priority: 0 },
  };
}

/** The stream of a caller: a Hello, then requests and other frames. */
function stream(random: Random): Buffer {
  const writer = new FrameWriter();
  const hello = { wireVersion: 1, process: "test", campus: "a" };
  writer.frame(FrameKind.HELLO, [encodeHello, hello], undefined);
  for (let left = random.index(FRAMES_MAX); left > 0; left--) {
    if (random.chance(0.8)) {
      const body = randomBytes(random, random.index(300));
      writer.frame(FrameKind.REQUEST, [encodeRequestHead, requestHead(random)], body);
    } else {
      const kind = random.pick([FrameKind.PING, FrameKind.PONG, FrameKind.GOING_AWAY]);
      writer.frame(kind, undefined, undefined);
    }
  }
  return writer.take();
}

function pieces(random: Random, bytes: Buffer): Buffer[] {
  const cut: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const end = Math.min(bytes.length, at + 1 + random.index(random.pick([3, 40, 1_000])));
    cut.push(bytes.subarray(at, end));
    at = end;
  }
  return cut;
}

function framesOf(chunks: readonly Buffer[]): string[] {
  const reader = new FrameReader(FRAME_BYTES_MAX);
  const frames: string[] = [];
  for (const chunk of chunks)
    reader.push(chunk, ({ kind, buffer, headStart, headEnd, end }) => {
      assert(headStart <= headEnd && headEnd <= end && end <= buffer.length);
      const [head, body] = [buffer.subarray(headStart, headEnd), buffer.subarray(headEnd, end)];
      frames.push(`${kind} ${head.toString("hex")} ${body.toString("hex")}`);
    });
  return frames;
}

export function fuzzFrames(random: Random): void {
  const whole = stream(random);
  assert.deepEqual(framesOf(pieces(random, whole)), framesOf([whole]));
  try {
    framesOf(pieces(random, mutated(random, whole)));
  } catch (error) {
    if (!(error instanceof CodecError || error instanceof RpcError)) throw error;
  }
}

/** A wire whose far end is the fuzzer. */
class FuzzWire implements Wire {
  readonly remote = "fuzz";
  readonly proved = undefined;
  events: WireEvents | undefined;
  isClosed = false;
  written = 0;

  bufferedBytes(): number {
    return 0;
  }

  write(chunk: Buffer): void {
    this.written += chunk.length;
  }

  close(): void {
    this.isClosed = true;
  }

  bind(events: WireEvents): void {
    this.events = events;
  }

  markInside(): void {}
}

const server = new Server({ process: "a/echo", campus: "a" }, silentLogger(), {
  allowed: () => new Set(["text", "ü"]),
});
server.add(Echo.echo, (request) => request);

const turns = () =>
  new Promise((resolve) => setImmediate(() => setImmediate(() => setImmediate(resolve))));

/** A server goes on for everybody else, whatever one connection says. */
export async function fuzzSession(random: Random): Promise<void> {
  const good = new FuzzWire();
  const bad = new FuzzWire();
  server.accept(good);
  server.accept(bad);
  for (const chunk of pieces(random, mutated(random, stream(random))))
    if (!bad.isClosed) bad.events!.data(chunk, performance.now());
  good.events!.data(goodCall(), performance.now());
  await turns();
  assert(!good.isClosed, "a good connection was closed");
  // Its Hello and a reply with the payload.
  assert(good.written > PAYLOAD.length, "a good call was not answered");
  for (const wire of [good, bad]) wire.events!.closed("the round is over");
}

const PAYLOAD = Buffer.alloc(200, "payload");

function goodCall(): Buffer {
  const writer = new FrameWriter();
  const hello = { wireVersion: 1, process: "good", campus: "a" };
  writer.frame(FrameKind.HELLO, [encodeHello, hello], undefined);
  writer.frame(
    FrameKind.REQUEST,
    [encodeRequestHead, goodHead()],
    [Echo.echo.encodeRequest, { payload: PAYLOAD }],
  );
  return writer.take();
}
