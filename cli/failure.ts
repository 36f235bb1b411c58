/** How a command ends badly: one line that says what to do, and the exit code. */
import { asCalled } from "./called.ts";

export const EXIT = {
  ok: 0,
  /** The command failed, the ledger is not clean, or a key is absent or at another version, replicas differ. */
  failed: 1,
  /** The command line or the configuration is wrong. */
  usage: 2,
  /** The platform is not running or cannot be reached, or not all of it. */
  unreachable: 3,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export class Failure extends Error {
  readonly exitCode: ExitCode;

  constructor(exitCode: ExitCode, message: string) {
    super(message);
    this.name = "Failure";
    this.exitCode = exitCode;
  }
}

/** The one line of a command that has printed what it found, and that ends badly all the same. */
export function complain(message: string): void {
  console.error(`tricampus: ${asCalled(message.replaceAll("\n", " "))}`);
}
