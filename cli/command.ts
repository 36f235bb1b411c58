/** What a command is: its place in the command line, its words, and what it does. */
import { EXIT, type ExitCode, Failure } from "./failure.ts";

export interface CommandCall {
  readonly arguments: readonly string[];
  readonly options: Readonly<Record<string, unknown>>;
  /** Print JSON for programs instead of text for people. */
  readonly json: boolean;
  /** Of the platform on this machine; with a context, what is remembered of that cluster. */
  readonly dataDir: string;
  /** The kubectl context of the cluster meant; undefined: this machine. */
  readonly context?: string | undefined;
}

export interface CommandDefinition {
  /** "campus kill" */
  readonly name: string;
  readonly summary: string;
  readonly arguments?: readonly (readonly [syntax: string, text: string])[];
  readonly options?: readonly (readonly [flags: string, text: string])[];
  readonly run: (call: CommandCall) => Promise<ExitCode>;
}

/** A text option; undefined when it was not given. */
export function textOption(call: CommandCall, name: string): string | undefined {
  const value = call.options[name];
  return typeof value === "string" ? value : undefined;
}

/** A whole number of 0 or more; undefined when the option was not given. */
export function numberOption(call: CommandCall, name: string): number | undefined {
  const text = textOption(call, name);
  if (text === undefined) return undefined;
  const flag = name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number)) return number;
  throw new Failure(EXIT.usage, `--${flag}: "${text}" is not a whole number of 0 or more`);
}
