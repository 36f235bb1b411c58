/** Counting the answers of a group's three logs. */
export type Vote = "unasked" | "pending" | "granted" | "refused" | "failed";

export const LOGS = 3;
const QUORUM = 2;

/**
 * open: answers that may still decide are on their way, or can be asked for.
 * settled: two granted.
 * fenced: two can no longer grant, and one knows a higher epoch.
 * lost: two can no longer grant, because they do not answer or their disks refuse.
 */
export type Outcome = "open" | "settled" | "fenced" | "lost";

export function tally(votes: readonly Vote[]): Outcome {
  const granted = count(votes, "granted");
  if (granted >= QUORUM) return "settled";
  if (granted + count(votes, "pending") + count(votes, "unasked") >= QUORUM) return "open";
  return votes.includes("refused") ? "fenced" : "lost";
}

/**
 * Which logs to ask now. Those known to be down are spared as long as two others may grant: a dead
 * log costs nothing, and a failure on the way brings it into play.
 */
export function logsToAsk(votes: readonly Vote[], usable: readonly boolean[]): number[] {
  const unasked = votes.flatMap((vote, index) => (vote === "unasked" ? [index] : []));
  const wanted = unasked.filter((index) => usable[index]);
  const hopeful = count(votes, "granted") + count(votes, "pending") + wanted.length;
  return hopeful >= QUORUM ? wanted : unasked;
}

function count(votes: readonly Vote[], vote: Vote): number {
  return votes.filter((v) => v === vote).length;
}
