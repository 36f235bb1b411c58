import { expect, test } from "vitest";
import { Keyspace } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../kvsvr/client.ts";
import { versionBefore } from "./age.ts";

/** A table whose version v was written at times[v - 1]; undefined: it holds rows without a time. */
function tableOf(times: readonly (number | undefined)[]) {
  let reads = 0;
  const kv = {
    async scanChanges({ afterVersion, limit }: { afterVersion: number; limit: number }) {
      reads += 1;
      const versions = times.map((_, i) => i + 1).filter((version) => version > afterVersion);
      const rows = versions.slice(0, limit).map((version) => {
        const value = Buffer.from(String(times[version - 1] ?? ""));
        return { row: Buffer.alloc(0), value, version, deleted: false };
      });
      const throughVersion = rows.at(-1)?.version ?? times.length;
      const more = throughVersion < times.length;
      return { version: times.length, throughVersion, more, rows, trims: [] };
    },
  } as unknown as KvClient;
  return { kv, reads: () => reads };
}

const timeOf = ({ value }: { value: Uint8Array }) =>
  value.length === 0 ? undefined : Number(Buffer.from(value).toString());

/** The obvious way: the versions before the first one that is not old. */
function obvious(times: readonly (number | undefined)[], beforeMs: number): number {
  const young = times.findIndex((time) => time !== undefined && time >= beforeMs);
  const last = times.findLastIndex((time) => time !== undefined);
  return young >= 0 ? lastTimed(times, young) : last + 1;
}

function lastTimed(times: readonly (number | undefined)[], end: number): number {
  return times.slice(0, end).findLastIndex((time) => time !== undefined) + 1;
}

test("age: halving finds what looking at all finds", async () => {
  let seed = 3;
  const random = (max: number) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % max;
  };
  for (let round = 0; round < 300; round++) {
    let time = 1_000;
    const times = Array.from({ length: random(80) }, () => {
      time += random(5);
      return random(6) === 0 ? undefined : time;
    });
    const beforeMs = 1_000 + random(250);
    const key = { keyspace: Keyspace.INBOX, key: Buffer.from("k") };
    const { kv, reads } = tableOf(times);
    const found = await versionBefore(kv, { key, fromVersion: 0, beforeMs, timeOf }, {});
    const expected = obvious(times, beforeMs);
    // Versions without a time between an old and a young one may count as either.
    const from = expected;
    const untimed = times.slice(from).findIndex((one) => one !== undefined);
    const to = untimed < 0 ? times.length : from + untimed;
    expect(found, `${times} before ${beforeMs}`).toBeGreaterThanOrEqual(from);
    expect(found, `${times} before ${beforeMs}`).toBeLessThanOrEqual(to);
    expect(reads()).toBeLessThanOrEqual(9);
  }
});
