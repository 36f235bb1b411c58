import { expect, test } from "vitest";
import { SortedNames } from "./sorted-names.ts";

test("sorted names: every range is what sorting all of them gives (random)", () => {
  let seed = 7;
  const next = (below: number) => {
    seed = (seed * 48_271) % 0x7fffffff;
    return seed % below;
  };
  const names = new SortedNames();
  const all = new Set<string>();
  for (let round = 0; round < 40; round++) {
    const isRising = next(3) === 0;
    for (let i = next(200); i > 0; i--) {
      const name = isRising
        ? `z${String(round * 1_000 + 200 - i).padStart(6, "0")}`
        : `${next(50_000)}`;
      if (all.has(name)) continue;
      all.add(name);
      names.add(name);
    }
    if (next(6) === 0) {
      const isKept = (name: string) => name.charCodeAt(name.length - 1) % 7 !== 0;
      names.filter(isKept);
      for (const name of all) if (!isKept(name)) all.delete(name);
    }
    const [first, end] = [`${next(9)}`, next(3) === 0 ? undefined : `${next(90)}`];
    const slow = [...all].filter((n) => n >= first && (end === undefined || n < end)).sort();
    expect([...names.range(first, end, false)]).toEqual(slow);
    expect([...names.range(first, end, true)]).toEqual(slow.reverse());
  }
  expect(all.size).toBeGreaterThan(1_500);
});
