/** How many members a group may have: configured alike for the services "group" and "fanout". */
import { z } from "zod";

export const membersMax = z.int().min(2).max(5_000).default(500);
