/**
 * First incarnations in folders that do not outlive their place, such as a pod's own.
 *
 * Ids made by a service hold its incarnation (M6), a counter in its folder. Where the next pod begins
 * with an empty folder, counting from 1 again would make the same ids twice. So the first number in
 * such a folder is drawn among 2^52: a hundred thousand pods of one service in one campus share one
 * with a chance of about one in a million. A number out of the store would exclude it, and would let
 * nobody start while the store is away.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { beginIncarnationsAbove, INCARNATION_FILE } from "../svrkit/ids.ts";
import { randomBytes } from "../svrkit/random.ts";
import { systemTextFiles } from "../svrkit/text-files.ts";

const BITS = 52n;

export function beginUnsharedIncarnations(dir: string): void {
  if (existsSync(join(dir, INCARNATION_FILE))) return;
  const drawn = BigInt(`0x${randomBytes(8).toString("hex")}`) >> (64n - BITS);
  beginIncarnationsAbove(dir, Math.max(1, Number(drawn)), systemTextFiles);
}
