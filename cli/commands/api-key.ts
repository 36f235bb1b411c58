/** `tricampus api-key`: keys with which servers of integrators ask the platform of this machine. */
import {
  API_SCOPES,
  type ApiScope,
  hashOfApiKey,
  newApiKey,
  readApiKeys,
  writeApiKeys,
} from "../../services/logic/account/api-keys-client.ts";
import { secretFiles } from "../../services/platform/secrets.ts";
import { type CommandCall, type CommandDefinition, textOption } from "../command.ts";
import { requirePlatform } from "../connect.ts";
import { EXIT, Failure } from "../failure.ts";
import { printJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";

export const apiKeyCommands: readonly CommandDefinition[] = [
  {
    name: "api-key create",
    summary: "make an API key and print it, this once; it counts within a second",
    arguments: [["<name>", "1-64 of a-z, 0-9 and -"]],
    options: [["--scopes <list>", `of ${API_SCOPES.join(",")}; default: all`]],
    run: async (call) => {
      const path = fileOf(call);
      const name = call.arguments[0]!;
      const keys = readApiKeys(path);
      if (!/^[a-z0-9-]{1,64}$/.test(name))
        throw new Failure(EXIT.usage, `"${name}" is not 1-64 of a-z, 0-9 and -`);
      if (keys.some((key) => key.name === name))
        throw new Failure(EXIT.failed, `there is an API key "${name}": revoke it first`);
      const key = newApiKey();
      const sha256 = hashOfApiKey(Buffer.from(key, "base64url"));
      const record = { name, sha256, scopes: scopesOf(call), createdAtMs: Date.now() };
      writeApiKeys(path, [...keys, record]);
      if (call.json) printJson({ name, key, scopes: record.scopes });
      else console.log(key);
      return EXIT.ok;
    },
  },
  {
    name: "api-key list",
    summary: "show the API keys' names and scopes",
    run: async (call) => {
      const keys = readApiKeys(fileOf(call)).map(({ name, scopes, createdAtMs }) => {
        return { name, scopes, createdAtMs };
      });
      const rows = keys.map(({ name, scopes, createdAtMs }) => [
        ...[name, scopes.join(","), new Date(createdAtMs).toISOString()],
      ]);
      if (call.json) printJson({ keys });
      else console.log(formatTable(["name", "scopes", "made"], rows));
      return EXIT.ok;
    },
  },
  {
    name: "api-key revoke",
    summary: "an API key counts no more, within a second; tickets it got go on until they expire",
    arguments: [["<name>", "of the key"]],
    run: async (call) => {
      const path = fileOf(call);
      const name = call.arguments[0]!;
      const keys = readApiKeys(path);
      const left = keys.filter((key) => key.name !== name);
      if (left.length === keys.length)
        throw new Failure(
          EXIT.failed,
          `there is no API key "${name}": see \`tricampus api-key list\``,
        );
      writeApiKeys(path, left);
      if (call.json) printJson({ revoked: name });
      else console.log(`${name} is revoked`);
      return EXIT.ok;
    },
  },
];

function fileOf({ context, dataDir }: CommandCall): string {
  if (context !== undefined) {
    throw new Failure(
      EXIT.usage,
      "a cluster's API keys are a file of hashes in a secret: make it with --data-dir and mount it",
    );
  }
  return secretFiles(requirePlatform(dataDir).config.dataDir).apiKeys;
}

function scopesOf(call: CommandCall): ApiScope[] {
  const scopes = textOption(call, "scopes")?.split(",") ?? [...API_SCOPES];
  const wrong = scopes.find((scope) => !(API_SCOPES as readonly string[]).includes(scope));
  if (wrong === undefined) return scopes as ApiScope[];
  throw new Failure(EXIT.usage, `--scopes: "${wrong}" is none of ${API_SCOPES.join(", ")}`);
}
