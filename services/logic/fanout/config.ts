import { z } from "zod";
import { acceptAboveMembers, membersMax } from "../group/size.ts";
import { HOOKS } from "../hook-streams.ts";

export const fanoutOptions = z.strictObject({
  membersMax,
  acceptAboveMembers,
  /** Invitations of a group that wait to be accepted, at most. */
  invitesMax: z.int().min(1).max(1_000).default(500),
  /** Larger texts and voices lie in the group's table alone, and not in every member's inbox. */
  apartAboveBytes: z.int().min(256).max(1_048_576).default(4_096),
  /** Which hooks are told; a platform on one machine knows it from the options of "hooks". */
  hooks: z.array(z.enum(HOOKS)).default([]),
  /** Streams that are worked on at once. */
  streamsMax: z.int().min(1).max(1_000).default(64),
  /** Groups whose state is kept in memory. */
  groupsRememberedMax: z.int().min(1).max(100_000).default(1_000),
  /** One step of a group: entries of its stream, and bytes of their texts. */
  batchEntriesMax: z.int().min(1).max(400).default(100),
  batchBytesMax: z.int().min(65_536).max(524_288).default(131_072),
});

export type FanoutOptions = z.infer<typeof fanoutOptions>;
