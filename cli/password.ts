/** Where a password comes from: --password, $TRICAMPUS_PASSWORD, a prompt, or the first line of stdin. */
import { createInterface } from "node:readline";
import { type CommandCall, textOption } from "./command.ts";
import { EXIT, Failure } from "./failure.ts";

export const PASSWORD_OPTION = [
  "--password <text>",
  "8-256 characters; else $TRICAMPUS_PASSWORD, else asked for or read from stdin",
] as const;

export async function passwordOf(call: CommandCall): Promise<string> {
  const given = textOption(call, "password") ?? process.env.TRICAMPUS_PASSWORD;
  const password = given ?? (await readPassword());
  if (password !== "") return password;
  throw new Failure(
    EXIT.usage,
    "no password: give --password, set TRICAMPUS_PASSWORD or type it into stdin",
  );
}

async function readPassword(): Promise<string> {
  if (process.stdin.isTTY) return askForPassword();
  for await (const line of createInterface({ input: process.stdin })) return line;
  return "";
}

/** Reads keys in raw mode, in which a terminal shows nothing. */
function askForPassword(): Promise<string> {
  const { stdin, stderr } = process;
  stderr.write("Password: ");
  stdin.setRawMode(true);
  return new Promise<string>((resolve, reject) => {
    let text = "";
    stdin.on("data", (chunk) => {
      for (const key of chunk.toString()) {
        if (key === "\r" || key === "\n" || key === "\u0004") resolve(text);
        else if (key === "\u0003") reject(new Failure(EXIT.failed, "given up"));
        else if (key === "\u007f") text = text.slice(0, -1);
        else text += key;
      }
    });
  }).finally(() => {
    stdin.setRawMode(false);
    stdin.pause();
    stderr.write("\n");
  });
}
