import { expect, test } from "vitest";
import { OwnWrites, type Seen } from "./own-writes.ts";

const seen = (resourceVersion: string, isLeaving = false): Seen => {
  return { resourceVersion, uid: "u1", isLeaving };
};

test("own writes: the next round waits until the copies show them", () => {
  const writes = new OwnWrites();
  writes.wrote("Service/x", { version: "10", wasThere: false }, 0);
  writes.deleted("Pod/y", "u1", 0);
  const copies = new Map<string, Seen | undefined>();
  const areUnseen = (nowMs = 1) => writes.areUnseen((key) => copies.get(key), nowMs);
  copies.set("Service/x", seen("9")).set("Pod/y", seen("5"));
  expect(areUnseen()).toBe(true);
  copies.set("Service/x", seen("11"));
  expect(areUnseen()).toBe(true);
  copies.set("Pod/y", seen("6", true));
  expect(areUnseen()).toBe(false);
});

test("own writes: a deleted object may be gone, or another one of its name", () => {
  for (const now of [undefined, { resourceVersion: "7", uid: "u2" }]) {
    const writes = new OwnWrites();
    writes.deleted("Pod/y", "u1", 0);
    expect(writes.areUnseen(() => now, 1)).toBe(false);
  }
});

test("own writes: what is not seen for long is not waited for", () => {
  const writes = new OwnWrites();
  writes.wrote("Service/x", { version: "10", wasThere: false }, 0);
  expect(writes.areUnseen(() => undefined, 14_000)).toBe(true);
  expect(writes.areUnseen(() => undefined, 16_000)).toBe(false);
});

test("own writes: an object that was there when it was written to, and is not any more, is not waited for", () => {
  const writes = new OwnWrites();
  writes.wrote("Campus/b", { version: "10", wasThere: true }, 0);
  expect(writes.areUnseen(() => ({ resourceVersion: "9", uid: "u" }), 1)).toBe(true);
  expect(writes.areUnseen(() => undefined, 2)).toBe(false);
});
