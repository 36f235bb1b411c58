import { z } from "zod";
import { membersMax } from "../group/size.ts";

export const fanoutOptions = z.strictObject({
  membersMax,
  /** Streams that are worked on at once. */
  streamsMax: z.int().min(1).max(1_000).default(64),
  /** Groups whose state is kept in memory. */
  groupsRememberedMax: z.int().min(1).max(100_000).default(1_000),
  /** One step of a group: messages, and bytes of their texts. */
  batchMessagesMax: z.int().min(1).max(1_000).default(100),
  batchBytesMax: z.int().min(65_536).max(1_048_576).default(131_072),
});

export type FanoutOptions = z.infer<typeof fanoutOptions>;
