/** What every keeper of the streams' records does. */
import { expect, test } from "vitest";
import { addSegment, unmoved } from "./protocol/segments.ts";
import type { SegmentStore } from "./segment-store.ts";

const owner = { round: 3, writer: "b.1.2" };

export function testSegmentStore(name: string, store: () => SegmentStore): void {
  test(`${name}: a stream without a record stands at version 0`, async () => {
    expect(await store().read("none")).toEqual({ record: undefined, version: 0 });
  });

  test(`${name}: a record comes back as it was set, each stream its own`, async () => {
    const record = addSegment(unmoved(1), { owner, group: 2, id: "b.1.3" });
    const version = await store().compareAndSet("kept", record, 0);
    expect(version).toBeGreaterThan(0);
    expect(await store().read("kept")).toEqual({ record, version });
    expect((await store().read("kept-not")).version).toBe(0);
  });

  test(`${name}: of those that change one version, one succeeds`, async () => {
    const first = await store().compareAndSet("raced", unmoved(1), 0);
    const racing = [1, 2, 3, 4].map((group) =>
      store().compareAndSet("raced", unmoved(group), first!),
    );
    const versions = (await Promise.all(racing)).filter((version) => version !== undefined);
    expect(versions).toHaveLength(1);
    expect((await store().read("raced")).version).toBe(versions[0]);
    expect(await store().compareAndSet("raced", unmoved(1), 0)).toBeUndefined();
  });
}
