/**
 * How HTTP falls silent when this campus is cut off (svrkit/transport/border.ts): requests and new long
 * connections get no answer until the campus joins again. Open ones stop reading and writing.
 */
import { border } from "../svrkit/transport/border.ts";

/** Resolves at once, or when the campus joins again; true: nobody waits for an answer any more. */
export function whenJoined(): Promise<boolean> {
  if (!border.isCut) return Promise.resolve(false);
  return new Promise((resolve) => {
    const leave = border.admit({
      hold: () => {},
      release: (isStale) => {
        leave();
        resolve(isStale);
      },
    });
  });
}
