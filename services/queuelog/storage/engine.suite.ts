/** What every engine of a log does; L1-L4 are the rules of protocol/stream-log.ts. */
import { expect, test } from "vitest";
import type { LogEntry } from "../../../protos/gen/tricampus/queue/v1/log_codec.ts";
import type { LogEngine } from "./engine.ts";

export interface EngineUnderTest {
  engine: LogEngine;
  /** Forgets memory and comes back from what is durable. */
  crash(): Promise<void>;
  end(): Promise<void>;
}

export const epoch = (round: number, writer = "a.1.1") => ({ round, writer });

export function entry(slot: number, text = `entry ${slot}`): LogEntry {
  const id = Buffer.from(`id ${slot}`);
  return { slot, epoch: undefined, void: false, payload: Buffer.from(text), id };
}

export const appending = (round: number, entries: LogEntry[], settledThrough = 0) => {
  return { stream: "s", epoch: epoch(round), entries, settledThrough };
};

export const texts = (entries: readonly LogEntry[]) =>
  entries.map((e) => `${e.slot}@${e.epoch?.round}: ${Buffer.from(e.payload).toString()}`);

const NO_EPOCH_REPLY = { granted: true, promised: undefined };

export function testLogEngine(name: string, start: () => Promise<EngineUnderTest>): void {
  const testWith = (situation: string, run: (under: EngineUnderTest) => Promise<void>) =>
    test(`${name}: ${situation}`, async () => {
      const under = await start();
      try {
        await run(under);
      } finally {
        await under.end();
      }
    });

  testWith(
    "L1 a fence holds, over a crash too, and tells what was promised before",
    async (under) => {
      expect(await under.engine.fence("s", epoch(2))).toMatchObject({
        granted: true,
        previous: undefined,
      });
      await under.crash();
      const lower = await under.engine.fence("s", epoch(1));
      expect(lower).toMatchObject({ granted: false, promised: epoch(2) });
      expect(await under.engine.fence("s", epoch(2))).toMatchObject({ granted: true });
      const higher = await under.engine.fence("s", epoch(2, "b.1.1"));
      expect(higher).toMatchObject({ granted: true, previous: epoch(2) });
      expect(await under.engine.fence("other", epoch(1))).toMatchObject({ granted: true });
    },
  );

  testWith("L2 an append below the promise is refused, one above raises it", async (under) => {
    await under.engine.fence("s", epoch(2));
    const refused = await under.engine.append(appending(1, [entry(1)]));
    expect(refused).toEqual({ granted: false, promised: epoch(2) });
    expect(await under.engine.append(appending(3, [entry(1)]))).toEqual(NO_EPOCH_REPLY);
    await under.crash();
    expect((await under.engine.append(appending(2, [entry(2)]))).promised).toEqual(epoch(3));
  });

  testWith("entries are back after a crash, in the order of slots", async (under) => {
    await under.engine.append(appending(1, [entry(3), entry(1)], 1));
    await under.engine.append(appending(1, [entry(2)]));
    await under.crash();
    const expected = ["1@1: entry 1", "2@1: entry 2", "3@1: entry 3"];
    expect(texts((await under.engine.read("s", 0)).entries)).toEqual(expected);
    expect(texts((await under.engine.read("s", 2)).entries)).toEqual(expected.slice(2));
    const fenced = await under.engine.fence("s", epoch(2));
    expect(texts(fenced.entries)).toEqual(expected);
    expect(fenced).toMatchObject({ settledThrough: 1, trimmedThrough: 0, more: false });
  });

  testWith("L3 a higher epoch overwrites a slot, the same one repeats it", async (under) => {
    await under.engine.append(appending(1, [entry(1, "old"), entry(2, "kept")]));
    await under.engine.append(appending(2, [entry(1, "new")]));
    expect((await under.engine.append(appending(2, [entry(1, "new")]))).granted).toBe(true);
    await under.crash();
    expect(texts((await under.engine.read("s", 0)).entries)).toEqual(["1@2: new", "2@1: kept"]);
  });

  testWith("L3 other content in a slot of the same epoch is a defect, and loud", async (under) => {
    await under.engine.append(appending(1, [entry(1, "one")]));
    const twice = under.engine.append(appending(1, [entry(1, "two")]));
    await expect(twice).rejects.toThrow("wrote one slot twice");
    expect(texts((await under.engine.read("s", 0)).entries)).toEqual(["1@1: one"]);
  });

  testWith("L4 what was trimmed is gone, and cannot be written again", async (under) => {
    await under.engine.append(appending(1, [entry(1), entry(2)]));
    under.engine.trim("s", 1);
    expect((await under.engine.append(appending(1, [entry(1), entry(3)]))).granted).toBe(true);
    expect(texts((await under.engine.read("s", 0)).entries)).toEqual([
      "2@1: entry 2",
      "3@1: entry 3",
    ]);
    await under.crash();
    expect(await under.engine.fence("s", epoch(2))).toMatchObject({ trimmedThrough: 1 });
  });

  testWith("streams with untrimmed entries are listed", async (under) => {
    await under.engine.append(appending(1, [entry(1), entry(2)]));
    await under.engine.fence("empty", epoch(1));
    const [listed, ...others] = under.engine.list();
    expect(others).toEqual([]);
    expect(listed).toMatchObject({
      stream: "s",
      lastSlot: 2,
      trimmedThrough: 0,
      promised: epoch(1),
    });
    expect(listed!.oldestAgeMs).toBeLessThan(5_000);
    await under.crash();
    expect(under.engine.list()[0]!.oldestAgeMs).toBeGreaterThan(60_000);
    under.engine.trim("s", 2);
    expect(under.engine.list()).toEqual([]);
  });

  testWith("a long stream is read in pages", async (under) => {
    const big = Buffer.alloc(100 * 1024, "x").toString();
    for (let slot = 1; slot <= 12; slot++) {
      await under.engine.append(appending(1, [entry(slot, `${slot} ${big}`)]));
    }
    await under.crash();
    const { entries, more } = await under.engine.fence("s", epoch(2));
    const slots = entries.map((e) => e.slot);
    expect(more).toBe(true);
    for (let goOn = more; goOn; ) {
      const page = await under.engine.read("s", slots.at(-1)!);
      slots.push(...page.entries.map((e) => e.slot));
      goOn = page.more;
    }
    expect(slots).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });
}
