/**
 * Forcing a group from its last survivor: the way on when two campuses are gone for good
 * (protocol/keeper.ts). It begins with a named human act, a permit in the survivor's directory, and goes
 * on after a crash at any point.
 *
 *   permit    this disk begins a new era, in which it is the only member; the act is noted beside it
 *   settling  what is known here and held nowhere any more is given up; nothing is answered meanwhile
 *   keeping   serves nobody until another replica has been rebuilt from it: a write is never in one
 *             campus only
 */
import { join } from "node:path";
import { z } from "zod";
import { setTrouble } from "../svrkit/monitors/trouble.ts";
import type { TextFiles } from "../svrkit/text-files.ts";
import { commitForgetting } from "./forgetting.ts";
import type { GroupEpoch } from "./group-epoch.ts";
import { forcedEpoch } from "./protocol/keeper.ts";
import { isCurrent } from "./protocol/register.ts";
import type { Replica } from "./replica.ts";
import type { Listed } from "./storage/listing.ts";

/** Says who permits to force the group from this replica, and why. */
export const FORCE_FILE = "force";
/** Every such act, oldest first. */
const FORCES_FILE = "forces.json";
const LISTED_KEYS = 1_000;

export const permitSchema = z.strictObject({
  /** Tells acts apart. */
  act: z.string().min(1),
  atMs: z.number().int(),
  who: z.string(),
  why: z.string(),
});

const forcesSchema = z.array(
  permitSchema.extend({ epochBefore: z.number().int(), epoch: z.number().int() }),
);

export type Forces = z.infer<typeof forcesSchema>;

export function forcesIn(dir: string, files: TextFiles): Forces {
  const text = files.read(join(dir, FORCES_FILE));
  return text === undefined ? [] : forcesSchema.parse(JSON.parse(text));
}

/** Carries out what was permitted, if anything was. */
export function forceIfPermitted(
  dir: string,
  files: TextFiles,
  parts: { group: GroupEpoch; replica: number; diskId: string },
): void {
  const text = files.read(join(dir, FORCE_FILE));
  if (text === undefined) return;
  const permit = permitSchema.parse(JSON.parse(text));
  const { group, replica, diskId } = parts;
  const before = forcesIn(dir, files);
  if (!before.some(({ act }) => act === permit.act)) {
    const epoch = forcedEpoch(group.epoch, replica);
    const noted = { ...permit, epochBefore: group.epoch, epoch };
    files.replace(join(dir, FORCES_FILE), JSON.stringify([...before, noted], null, 2));
  }
  group.force(permit.act, { replica, diskId });
  files.remove(join(dir, FORCE_FILE));
}

/** Gives up what is known and held nowhere; then this replica answers as the group's keeper. */
export async function settle(replica: Replica, group: GroupEpoch): Promise<void> {
  const { state, log } = replica;
  let given = 0;
  let listed: readonly Listed[] = [];
  let more = group.keeper?.settled === false;
  // Whoever froze it was ready to forget it, this one too; the others, who may not have been, are gone.
  if (more) await commitForgetting(replica);
  for (let after: Buffer | undefined; more; ) {
    ({ listed, next: after } = state.list(after, LISTED_KEYS));
    more = after !== undefined;
    for (const { entryKey, register } of listed) {
      if (register !== undefined && isCurrent(register)) continue;
      const key = { keyspace: entryKey[0]!, key: entryKey.subarray(4) };
      if (register !== undefined)
        replica.take(replica.entry(key), { kind: "settle", from: register.known });
      // Nobody is left to copy it from.
      else await state.renew(key, []);
      given += 1;
    }
    await state.durable(state.logged);
  }
  if (group.keeper?.settled === false) group.settled();
  // Who has copied it remembers it: an older copy of this disk is noticed as of any other.
  if (group.keeper?.full.length !== 0) return;
  replica.barred = undefined;
  setTrouble("kvsvr", ALONE);
  log.warn({ given, epoch: group.epoch }, "the group goes on from this replica alone");
}

const ALONE =
  "the group was forced from this replica: it serves when another one was rebuilt from it";

/** Another replica holds all there is: the group serves. */
export function endAlone(): void {
  setTrouble("kvsvr", undefined);
}
