/** How every engine of parts behaves. */
import { createHash } from "node:crypto";
import { expect, test } from "vitest";
import type { PartEngine } from "./engine.ts";

const idOf = (digit: string) => digit.repeat(64);
const hashOf = (data: Uint8Array) => createHash("sha256").update(data).digest();

/** `open`: over what an earlier one has stored. */
export function partEngineSuite(name: string, open: () => PartEngine): void {
  const store = async (mediaId: string, text: string) => {
    const data = Buffer.from(text);
    await open().put(mediaId, hashOf(data), data);
    return hashOf(data);
  };

  test(`parts (${name}): what was stored is there, after a restart too, and nothing else`, async () => {
    const hash = await store(idOf("1"), "hello");
    const engine = open();
    expect((await engine.get(idOf("1"), hash))?.toString()).toBe("hello");
    expect(await engine.has(idOf("1"), hash)).toBe(true);
    expect(await engine.has(idOf("2"), hash)).toBe(false);
    expect(await engine.get(idOf("2"), hash)).toBeUndefined();
    expect(await engine.get(idOf("1"), hashOf(Buffer.from("other")))).toBeUndefined();
  });

  test(`parts (${name}): storing again, also at the same time, is no harm`, async () => {
    const data = Buffer.alloc(512 * 1024, 7);
    const engine = open();
    const puts = Array.from({ length: 4 }, () => engine.put(idOf("3"), hashOf(data), data));
    await Promise.all(puts);
    const found = await engine.get(idOf("3"), hashOf(data));
    expect(found?.equals(data)).toBe(true);
  });

  test(`parts (${name}): removing one part leaves the others`, async () => {
    const [gone, kept] = [await store(idOf("6"), "gone"), await store(idOf("6"), "kept")];
    const engine = open();
    await engine.remove(idOf("6"), gone);
    await engine.remove(idOf("6"), gone);
    expect([await engine.has(idOf("6"), gone), await engine.has(idOf("6"), kept)]).toEqual([
      false,
      true,
    ]);
  });

  test(`parts (${name}): dropping a medium takes all of it and nothing of others`, async () => {
    const kept = await store(idOf("4"), "kept");
    const hashes = await Promise.all(["a", "b", "c"].map((text) => store(idOf("5"), text)));
    const engine = open();
    await engine.drop(idOf("5"));
    await engine.drop(idOf("5"));
    for (const hash of hashes) expect(await engine.has(idOf("5"), hash)).toBe(false);
    expect(await engine.has(idOf("4"), kept)).toBe(true);
  });

  test(`parts (${name}): a medium can be dropped while parts of it are stored`, async () => {
    const engine = open();
    for (let round = 0; round < 20; round++) {
      const parts = Array.from({ length: 10 }, (_, i) => Buffer.from(`${round} ${i}`));
      const puts = parts.map((data) => engine.put(idOf("7"), hashOf(data), data));
      const [drop] = await Promise.allSettled([engine.drop(idOf("7")), ...puts]);
      expect(drop).toMatchObject({ status: "fulfilled" });
    }
    await engine.drop(idOf("7"));
    expect(await engine.list(idOf("6"), 1)).not.toEqual([idOf("7")]);
  });

  test(`parts (${name}): lists media in order, page by page`, async () => {
    for (const digit of ["c", "a", "e", "b"]) await store(idOf(digit), digit);
    await store(idOf("c"), "second part");
    const engine = open();
    const first = await engine.list(idOf("9"), 2);
    expect(first).toEqual([idOf("a"), idOf("b")]);
    expect(await engine.list(first.at(-1)!, 10)).toEqual([idOf("c"), idOf("e")]);
    expect(await engine.list(idOf("e"), 10)).toEqual([]);
  });

  test.each([
    "",
    "../../etc",
    `${idOf("1")}/x`,
    "%2e%2e",
    idOf("1").toUpperCase().replace(/1/g, "A"),
  ])(`parts (${name}): a path trick is no name (%j)`, async (mediaId) => {
    const engine = open();
    const hash = hashOf(Buffer.from("x"));
    await expect(engine.put(mediaId, hash, Buffer.from("x"))).rejects.toThrow(RangeError);
    await expect(engine.get(mediaId, hash)).rejects.toThrow(RangeError);
    await expect(engine.drop(mediaId)).rejects.toThrow(RangeError);
    const short = Buffer.from("../../x");
    await expect(engine.put(idOf("1"), short, Buffer.from("x"))).rejects.toThrow(RangeError);
  });
}
