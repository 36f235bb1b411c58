/** Options of the contact service: none yet; an option that is misspelt is refused. */
import { z } from "zod";

export const contactOptions = z.strictObject({});
