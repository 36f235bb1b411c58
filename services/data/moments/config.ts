/** Options of the service moments-data: none yet; an option that is misspelt is refused. */
import { z } from "zod";

export const momentsDataOptions = z.strictObject({});
