/**
 * The file of limits, which may change while processes run:
 *
 *   { "queueDelayMs": 40, "userRequestsPerSecond": 5, "traceShare": 0.01, "classes": { "Moments": "other" } }
 *
 * All fields are optional, and so is the file: what it does not say is as usual. Removing it takes everything
 * back that it said, at once and at a start alike, or who runs and who starts would differ: that is warned of,
 * since it gives back to callers what was taken from them, and may be a mistake. A file that cannot be used as
 * a whole changes nothing, and the process says so until it can. A process that starts beside one must start
 * all the same, and must not give back to callers what was taken from them: it has its own copy of
 * the last file that it could use. Where there is none (a new place), it has the usual limits and callers.
 */
import { readFileSync } from "node:fs";
import { isClientMethod } from "../access/methods.ts";
import { type Limits, putInForce, USUAL_LIMITS } from "../svrkit/config/limits-in-force.ts";
import { signatureOfFiles, Watched } from "../svrkit/config/watched.ts";
import type { Logger } from "../svrkit/log.ts";
import { systemTextFiles } from "../svrkit/text-files.ts";
import { checkedAgainst } from "./checked.ts";
import { limitsSchema } from "./limits-schema.ts";
import { callersTakenAway, checkCallers } from "./usual-callers.ts";

/** What a file says that is not there. */
const NO_LIMITS = "{}\n";

/** Throws an error of one line that names the file and the field. */
export function readLimits(path: string): Limits {
  const text = textOf(path);
  if (text === undefined) return USUAL_LIMITS;
  const told = checkedAgainst(limitsSchema, parsed(text, path), path);
  const limits = { ...USUAL_LIMITS, ...told } as Limits;
  if (limits.calleeCallsMax > limits.callsInFlightMax) {
    throw new Error(`${path}: calleeCallsMax: one service would get more than callsInFlightMax`);
  }
  for (const name of Object.keys(limits.classes)) {
    if (isClientMethod(name)) continue;
    throw new Error(`${path}: classes: clients have no method or service "${name}"`);
  }
  try {
    checkCallers(limits.callers);
  } catch (error) {
    throw new Error(`${path}: callers: ${(error as Error).message}`, { cause: error });
  }
  return limits;
}

/**
 * Puts the limits of the file in force, and looks at it from now on. `copy`: where this process keeps what it
 * could use last; without, it keeps nothing.
 */
export function followLimits(
  path: string,
  { log, copy }: { log: Logger; copy?: string | undefined },
): Watched<Limits> {
  const watched = new Watched<Limits>(
    {
      name: "limits",
      load: () => {
        const limits = readLimits(path);
        if (copy !== undefined) keepCopy(textOf(path), { path, copy, log });
        return limits;
      },
      signature: () => signatureOf(path),
      usual: lastLimits(copy),
    },
    log,
  );
  const count = (limits: Limits) => {
    putInForce(limits);
    const taken = callersTakenAway(limits.callers);
    if (Object.keys(taken).length > 0)
      log.warn({ source: "limits", taken }, "callers are taken away: their calls are refused");
  };
  count(watched.value);
  watched.onChange(count);
  watched.watch();
  return watched;
}

/** What a process has that starts beside a file that cannot be used. */
function lastLimits(copy: string | undefined): { value: Limits; called: string } {
  try {
    if (copy !== undefined && textOf(copy) !== undefined)
      return { value: readLimits(copy), called: "the limits and callers of the last good file" };
  } catch {
    // A copy that cannot be used, as one of another version, is as good as none: status says which it is.
  }
  return { value: USUAL_LIMITS, called: "the usual limits and callers" };
}

/** `said`: what the file says; undefined when there is none. */
function keepCopy(
  said: string | undefined,
  { path, copy, log }: { path: string; copy: string; log: Logger },
): void {
  const text = said ?? NO_LIMITS;
  const failed = (error: unknown) =>
    log.warn(
      { err: error },
      "no copy of the limits is kept: a start beside a bad file has older ones",
    );
  try {
    const before = textOf(copy) ?? NO_LIMITS;
    if (said === undefined && before !== NO_LIMITS)
      log.warn(
        { source: "limits", before },
        `${path} is gone: the usual limits and callers are in force; to have others, write it again`,
      );
    if (textOf(copy) !== text) systemTextFiles.replaceSoon(copy, text).catch(failed);
  } catch (error) {
    failed(error);
  }
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

function signatureOf(path: string): string {
  return textOf(path) === undefined ? "absent" : signatureOfFiles([path]);
}

function parsed(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`${path}: ${(error as Error).message}`, { cause: error });
  }
}
