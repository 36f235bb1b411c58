/** `tricampus user register|login`: makes a user, or logs one in, and remembers the ticket here. */
import type { CommandDefinition } from "../command.ts";
import { EXIT } from "../failure.ts";
import { saveLogin } from "../logins.ts";
import { printJson } from "../output/json.ts";
import { PASSWORD_OPTION, passwordOf } from "../password.ts";
import { CLIENT_OPTIONS, withStranger } from "../session.ts";

function userCommand(verb: "register" | "login", summary: string): CommandDefinition {
  return {
    name: `user ${verb}`,
    summary,
    arguments: [["<name>", "1-64 letters, digits, _ . -"]],
    options: [PASSWORD_OPTION, ...CLIENT_OPTIONS],
    run: async (call) => {
      const name = call.arguments[0]!;
      const password = await passwordOf(call);
      const login = await withStranger(call, (client) => client[verb](name, password));
      saveLogin(call.dataDir, name, login);
      if (call.json) printJson({ name, userId: login.userId, expiresAtMs: login.expiresAtMs });
      else console.log(`${name} is ${login.userId}, logged in here as device cli.`);
      return EXIT.ok;
    },
  };
}

export const userCommands: readonly CommandDefinition[] = [
  userCommand("register", "make a user and log in"),
  userCommand("login", "log in as a user that exists"),
];
