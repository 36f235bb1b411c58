/** Ctrl-C and SIGTERM for commands that have something to undo. A second one of a kind ends the process at once. */
import { EXIT, Failure } from "./failure.ts";

/** Does the work with a signal that aborts when a person, or the system, wants it to end. */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const interrupt = new AbortController();
  const stop = () => interrupt.abort(new Failure(EXIT.failed, "it was interrupted"));
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    return await work(interrupt.signal);
  } finally {
    process.off("SIGINT", stop).off("SIGTERM", stop);
  }
}

/** The work's outcome; rejects with the signal's reason when that aborts first, while the work may go on. */
export async function unlessAborted<T>(
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (signal === undefined) return work();
  signal.throwIfAborted();
  const aborted = Promise.withResolvers<never>();
  const stop = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", stop, { once: true });
  try {
    return await Promise.race([work(), aborted.promise]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}
