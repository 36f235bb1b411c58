import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { afterEach, expect, test, vi } from "vitest";
import { endSoon } from "./last-words.ts";
import { FIRST_BYTE_TIMEOUT_MS } from "./limits.ts";

afterEach(() => {
  vi.useRealTimers();
});

async function pair(): Promise<{ near: Socket; far: Socket; close(): void }> {
  const server = createServer({ allowHalfOpen: true });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const far = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  far.on("error", () => {});
  const [near] = (await once(server, "connection")) as [Socket];
  near.on("error", () => {});
  const close = () => {
    far.destroy();
    near.destroy();
    server.close();
  };
  return { near, far, close };
}

test("access: who is refused hears why, and is gone when it ends its side, too", async () => {
  const { near, far, close } = await pair();
  far.write("what nobody reads any more");
  endSoon(near, "no");
  expect(String((await once(far, "data"))[0])).toBe("no");
  far.end();
  await once(near, "close");
  close();
});

test("access: who is refused and does not end its side, and even talks on, is let go", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const { near, far, close } = await pair();
  endSoon(near, "no");
  await once(far, "data");
  for (let i = 0; i < 4; i++) {
    expect(near.destroyed).toBe(false);
    vi.advanceTimersByTime(FIRST_BYTE_TIMEOUT_MS / 4);
    far.write("and another thing");
    await new Promise(setImmediate);
  }
  expect(near.destroyed).toBe(true);
  close();
});
