/** Resolves after so many milliseconds. */
export function rest(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** The same; rejects at once with the signal's reason when it aborts. */
export function restUnless(stopped: AbortSignal, ms: number): Promise<void> {
  return new Promise((resolve, reject) => {
    if (stopped.aborted) return reject(stopped.reason);
    const stop = () => {
      clearTimeout(timer);
      reject(stopped.reason);
    };
    const timer = setTimeout(() => {
      stopped.removeEventListener("abort", stop);
      resolve();
    }, ms);
    stopped.addEventListener("abort", stop, { once: true });
  });
}
