/**
 * Whose turn it is: the one campus that may be disturbed now. Pure.
 *
 * A campus is disturbed only when both others are whole: then the platform stands on two. One that is
 * not whole is the only one that may be disturbed further, for that costs nothing more. A blocked
 * campus is out of use, or a service of it is, so it comes first, and no other is touched meanwhile. While
 * nobody knows what is blocked it is nobody's turn.
 */
import type { Reason } from "./reasons.ts";

export interface CampusHealth {
  readonly campus: string;
  /** Why it is not whole; undefined: every pod is ready and every replica caught up, for a while. */
  readonly trouble: string | undefined;
  /** Or a service in it; undefined: the control table is not read, so nobody knows. */
  readonly isBlocked: boolean | undefined;
}

export type Turn =
  | { readonly turn: "given"; readonly campus: string }
  | { readonly turn: "none"; readonly reason: Reason; readonly message: string };

/** `wanting`: the campuses in which something is to be replaced. */
export function whoseTurn(campuses: readonly CampusHealth[], wanting: ReadonlySet<string>): Turn {
  const broken = campuses.filter(({ trouble }) => trouble !== undefined);
  const blocked = campuses.find(({ isBlocked }) => isBlocked);
  if (broken.length > 1) {
    const names = broken.map(({ campus, trouble }) => `${campus} (${trouble})`).join(" and ");
    return waits(`campuses ${names} are not whole`);
  }
  if (campuses.some(({ isBlocked }) => isBlocked === undefined))
    return waits("the control table cannot be read, so nobody knows what is blocked");
  const [only] = broken;
  if (only !== undefined) {
    const other = blocked !== undefined && blocked.campus !== only.campus ? blocked : undefined;
    if (other !== undefined)
      return waits(`campus ${other.campus} is blocked and ${only.campus} is not whole`);
    if (wanting.has(only.campus)) return { turn: "given", campus: only.campus };
    return waits(`campus ${only.campus} is not whole: ${only.trouble}`);
  }
  if (blocked !== undefined) {
    if (wanting.has(blocked.campus)) return { turn: "given", campus: blocked.campus };
    return waits(`campus ${blocked.campus} is blocked: the others carry its load`);
  }
  const next = campuses.find(({ campus }) => wanting.has(campus));
  if (next !== undefined) return { turn: "given", campus: next.campus };
  return { turn: "none", reason: "Done", message: "" };
}

function waits(message: string): Turn {
  return { turn: "none", reason: "RolloutWaits", message };
}
