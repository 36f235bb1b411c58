/** The fault that a replay brings about on its way: which campus, how, when, and until when. */
type FaultKind = "kill" | "cut" | "freeze";

export interface Fault {
  readonly kind: FaultKind;
  readonly campus: string;
  /** Shares (0-1) of all messages acknowledged at which it begins and ends. */
  readonly at: number;
  readonly backAt: number;
}

interface FaultOptions {
  readonly killCampus?: string | undefined;
  readonly cutCampus?: string | undefined;
  readonly freezeCampus?: string | undefined;
  readonly at?: string | undefined;
  readonly backAt?: string | undefined;
}

/** Undefined when none is asked for; an Error of one line when what is asked for makes no sense. */
export function planFault(options: FaultOptions): Fault | undefined | Error {
  const asked: [FaultKind, string | undefined][] = [
    ["kill", options.killCampus],
    ["cut", options.cutCampus],
    ["freeze", options.freezeCampus],
  ];
  const wanted = asked.filter((pair): pair is [FaultKind, string] => pair[1] !== undefined);
  if (wanted.length === 0) {
    const lonely = options.at ?? options.backAt;
    return lonely === undefined
      ? undefined
      : new Error("--at and --back-at go with --kill-campus, --cut-campus or --freeze-campus");
  }
  if (wanted.length > 1) return new Error("one campus at a time: name one fault");
  const at = shareOf(options.at ?? "30%");
  const backAt = shareOf(options.backAt ?? "70%");
  if (at === undefined || backAt === undefined) {
    return new Error("--at and --back-at are shares of all messages, like 30%");
  }
  if (at >= backAt) return new Error("--back-at must come after --at");
  const [[kind, campus]] = wanted as [[FaultKind, string]];
  return { kind, campus, at, backAt };
}

function shareOf(text: string): number | undefined {
  const match = /^(\d{1,3}(?:\.\d+)?)%$/.exec(text);
  const percent = match === null ? Number.NaN : Number(match[1]);
  return percent >= 0 && percent <= 100 ? percent / 100 : undefined;
}
