/**
 * The block that a drill sets and, whatever happens, ends. From the moment it is asked for it counts as set: an
 * answer that is lost, or comes too late, says nothing about the write.
 *
 * It is for a short term, put off for as long as the drill watches: of a drill whose process dies or sleeps the campus
 * is back when the term is over, since nobody would notice a breach any more.
 */
import type { ControlTable } from "../../services/control/client.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import { rest } from "../../services/svrkit/rest.ts";
import type { Target } from "../block-arguments.ts";

type Table = Pick<ControlTable, "block" | "unblock" | "renew">;

export interface OwnBlock {
  readonly target: Target;
  readonly who: string;
  readonly why: string;
  /** So long after it was set, or put off last, it ends by itself. */
  readonly termMs: number;
}

/** Longer than a write to the table is tried, and a read before it. */
export const TERM_MS = 20_000;
/** What is left of a term when it is put off. */
const RENEW_AT_MS = 15_000;

/** A write that was given up may still take effect for so long: as long as writes are tried at most. */
const UNSURE_MS = 10_000;
const PAUSE_FIRST_MS = 200;
const PAUSE_LAST_MS = 5_000;

/** When it is over by itself at the latest, and since when "nothing is blocked" is believed; monotonic. */
export interface SetBlock {
  endsAtMs: number;
  /** It is being ended: put off no more. */
  isEnding: boolean;
  readonly sureAtMs: number;
  /** Why nobody knows whether it is set; undefined: it is. */
  readonly doubt: string | undefined;
}

/** Throws when it is refused: then it is not set. */
export async function setBlock(table: Table, block: OwnBlock): Promise<SetBlock> {
  const { target, who, why, termMs: forMs } = block;
  let doubt: string | undefined;
  try {
    await table.block(target, { forMs, why, who, forced: false });
  } catch (error) {
    if (isRefusal(error)) throw error;
    doubt = (error as Error).message;
  }
  const nowMs = performance.now();
  return {
    endsAtMs: nowMs + forMs,
    sureAtMs: doubt === undefined ? 0 : nowMs + UNSURE_MS,
    doubt,
    isEnding: false,
  };
}

/** Whether it stands, as far as can be read; puts it off when it is time for that. */
export async function keepBlock(
  table: Table & Pick<ControlTable, "blocks">,
  { target, who, why, termMs }: OwnBlock,
  set: SetBlock,
): Promise<boolean> {
  // What cannot be read is no proof; the processes' own silence is.
  const blocks = await table.blocks().catch(() => undefined);
  if (blocks === undefined) return true;
  const name = target.service === "" ? target.campus : `${target.campus}/${target.service}`;
  const own = blocks.find(({ what }) => what === name);
  // Somebody else's by now: it is theirs to keep and to end.
  if (own === undefined || own.who !== who || own.why !== why) return false;
  if (own.remainingMs > RENEW_AT_MS || set.isEnding) return true;
  set.endsAtMs = performance.now() + UNSURE_MS + termMs;
  await table.renew(target, { forMs: termMs, who, why }).catch(() => {}); // read again, and tried again
  set.endsAtMs = performance.now() + termMs;
  return true;
}

/**
 * Tries until it is ended, or over by itself: then resolves to why it could not be ended. One that has ended
 * meanwhile is no failure, nor one that is another's by now. `waits` is told once why it is not ended yet.
 */
export async function endBlock(
  table: Table,
  { target, who, why }: OwnBlock,
  { set, waits }: { readonly set: SetBlock; readonly waits: (why: string) => void },
): Promise<string | undefined> {
  set.isEnding = true;
  for (let attempt = 0; ; attempt++) {
    const failure = await table.unblock(target, who, { who, why }).then(
      () => undefined,
      (error: Error) => error,
    );
    // One last time it may be put off meanwhile.
    const leftMs = set.endsAtMs - performance.now();
    if (failure === undefined) return undefined;
    if (isRefusal(failure) && performance.now() >= set.sureAtMs) return undefined;
    if (leftMs <= 0) return isRefusal(failure) ? undefined : failure.message;
    if (attempt === 0 && !isRefusal(failure)) waits(failure.message);
    await rest(Math.min(leftMs, PAUSE_LAST_MS, PAUSE_FIRST_MS * 2 ** Math.min(attempt, 10)));
  }
}

function isRefusal(error: unknown): boolean {
  return error instanceof RpcError && error.code === "FAILED_PRECONDITION";
}
