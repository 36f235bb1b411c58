/** Who does something that the audit log keeps, and why. */
import { userInfo } from "node:os";
import { parseWords } from "./block-arguments.ts";
import { type CommandCall, textOption } from "./command.ts";

export const AS = ["--as <name>", "who says so (else the name of this user)"] as const;
export const WHY = ["--why <words>", "for the audit log"] as const;

export function whoOf(call: CommandCall): string {
  return parseWords("--as", textOption(call, "as") ?? userInfo().username);
}

/** The reason is asked for where others have to live with it; here it may be left out. */
export function actOf(call: CommandCall): { who: string; why: string } {
  const why = textOption(call, "why");
  return { who: whoOf(call), why: why === undefined ? "-" : parseWords("--why", why) };
}
