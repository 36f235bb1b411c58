import { z } from "zod";

export const contactDataOptions = z.strictObject({
  /** Contacts of one user with those it has asked to become one, and users it blocks, at most. */
  contactsMax: z.int().min(1).max(10_000).default(5_000),
  blockedMax: z.int().min(1).max(10_000).default(1_000),
});

export type ContactDataOptions = z.output<typeof contactDataOptions>;
