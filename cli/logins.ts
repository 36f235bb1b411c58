/**
 * Who is logged in on this machine's command line: one file a user in the data folder, readable by
 * its owner alone, with the ticket and never the password.
 */
import { mkdirSync, readdirSync } from "node:fs";
import { join } from "node:path";
import type { Login } from "../sdk/client.ts";
import { paths, readJson, writeJson } from "../services/platform/paths.ts";
import { EXIT, Failure } from "./failure.ts";

interface SavedLogin {
  readonly name: string;
  readonly userId: string;
  /** Base64. */
  readonly ticket: string;
  readonly expiresAtMs: number;
}

/** The device of every log-in made here. */
export const CLI_DEVICE = "cli";
const SUFFIX = ".login.json";

export function saveLogin(dataDir: string, name: string, login: Login): void {
  const dir = paths.cli(dataDir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const { userId, expiresAtMs } = login;
  const ticket = Buffer.from(login.ticket).toString("base64");
  writeJson(join(dir, name + SUFFIX), { name, userId, ticket, expiresAtMs } satisfies SavedLogin);
}

export function requireLogin(dataDir: string, name: string): Login {
  const saved = isFileName(name) ? load(dataDir, name) : undefined;
  if (saved === undefined) {
    throw new Failure(
      EXIT.failed,
      `${name} is not logged in here: run \`tricampus user register ${name}\` or \`user login\``,
    );
  }
  if (saved.expiresAtMs <= Date.now()) {
    throw new Failure(EXIT.failed, `the log-in has expired: run \`tricampus user login ${name}\``);
  }
  const { userId, ticket, expiresAtMs } = saved;
  return { userId, ticket: Buffer.from(ticket, "base64"), expiresAtMs };
}

/** Messages that this user's command line has. */
export function storePath(dataDir: string, name: string): string {
  return join(paths.cli(dataDir), `${name}.store`);
}

/** Names of everybody who ever logged in here: the protocol speaks of users by id. */
export class KnownUsers {
  readonly #nameById = new Map<string, string>();

  constructor(dataDir: string) {
    for (const file of listDir(paths.cli(dataDir))) {
      const name = file.endsWith(SUFFIX) ? file.slice(0, -SUFFIX.length) : undefined;
      const saved = name === undefined ? undefined : load(dataDir, name);
      if (saved === undefined) continue;
      this.#nameById.set(saved.userId, saved.name);
    }
  }

  nameOf(userId: string): string {
    return this.#nameById.get(userId) ?? userId;
  }
}

function load(dataDir: string, name: string): SavedLogin | undefined {
  return readJson<SavedLogin>(join(paths.cli(dataDir), name + SUFFIX));
}

/** Names come from the command line: one that is a path names no file of ours. */
function isFileName(name: string): boolean {
  return /^[A-Za-z0-9_.-]{1,64}$/.test(name);
}

function listDir(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
