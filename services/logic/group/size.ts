/** How many members a group may have: configured alike for the services "group" and "fanout". */
import { z } from "zod";

/** Above, the change that makes a group would be over the store's limit. */
const MEMBERS_LIMIT = 1_500;

export const membersMax = z.int().min(2).max(MEMBERS_LIMIT).default(500);

/** With more members than this, who is invited has to accept. */
export const acceptAboveMembers = z.int().min(0).max(MEMBERS_LIMIT).default(40);
