/** Looks through everything that the store holds, keys, row keys and values, for words. */
import { type Key, Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Replica } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import type { WholePlatform } from "../../services/platform/testing/whole-platform.ts";

/** The keys that hold any of the words. Deleted ones hold nothing, though the store keeps their names (S5). */
export async function findInStore(
  { kv, callee }: Pick<WholePlatform, "kv" | "callee">,
  words: readonly string[],
): Promise<string[]> {
  const found: string[] = [];
  const request = { cursor: Buffer.alloc(0), limit: 10_000, epoch: 0 };
  const { versions } = await callee("kvsvr").callOne(0, Replica.listVersions, request, {});
  for (const { key, table } of versions) {
    const name = Buffer.from(key!.key).toString("latin1");
    const held = table ? await rowsOf(kv, key!) : await keyValueOf(kv, key!);
    if (held.length > 0) held.push(name);
    if (words.some((word) => held.some((text) => text.includes(word)))) found.push(name);
  }
  return found;
}

async function rowsOf(kv: WholePlatform["kv"], key: Key): Promise<string[]> {
  const none = Buffer.alloc(0);
  const scan = { first: none, end: none, limit: 0, level: Level.STRONG, reverse: false };
  const { rows } = await kv.scanRows({ key, ...scan });
  return rows.flatMap(({ row, value }) =>
    [row, value].map((b) => Buffer.from(b).toString("latin1")),
  );
}

async function keyValueOf(kv: WholePlatform["kv"], key: Key): Promise<string[]> {
  const { found, value } = await kv.get({ key, level: Level.STRONG });
  return found ? [Buffer.from(value).toString("latin1")] : [];
}
