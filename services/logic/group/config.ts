import { z } from "zod";
import { membersMax } from "./size.ts";

export const groupOptions = z.strictObject({ membersMax });
