import { z } from "zod";
import { membersMax } from "../group/size.ts";

export const fanoutOptions = z.strictObject({
  membersMax,
  /** Streams that are worked on at once. */
  streamsMax: z.int().min(1).max(1_000).default(64),
  /** Groups whose state is kept in memory. */
  groupsRememberedMax: z.int().min(1).max(100_000).default(1_000),
  /** One step of a group: entries of its stream, and bytes of their texts. */
  batchEntriesMax: z.int().min(1).max(400).default(100),
  batchBytesMax: z.int().min(65_536).max(524_288).default(131_072),
});

export type FanoutOptions = z.infer<typeof fanoutOptions>;
