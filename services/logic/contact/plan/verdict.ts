/** What a user lets another one do. */
import type { ReachReply } from "../../../../protos/gen/tricampus/data/v1/contact_codec.ts";
import {
  MayReplyRefusal,
  MayRequestWhat,
} from "../../../../protos/gen/tricampus/logic/v1/reach_codec.ts";

export interface Standing extends ReachReply {
  /** The account is there no more. */
  readonly gone: boolean;
}

export function refusalOf({ gone, blocked, contact, policy }: Standing, what: number): number {
  if (gone) return MayReplyRefusal.GONE;
  if (blocked) return MayReplyRefusal.BLOCKED;
  if (contact || policy === undefined) return MayReplyRefusal.UNSPECIFIED;
  const refuses =
    what === MayRequestWhat.INVITE ? policy.refusesGroupsOfStrangers : policy.refusesStrangers;
  return refuses ? MayReplyRefusal.STRANGER : MayReplyRefusal.UNSPECIFIED;
}
