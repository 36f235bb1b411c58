/** Times as people write them. */
import { EXIT, Failure } from "./failure.ts";

const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 24 * 3_600_000,
};

/** "30s", "10m", "2h" or "3d" in milliseconds; undefined when it is none. */
function durationMs(text: string): number | undefined {
  const [, digits = "", unit = ""] = /^([1-9]\d{0,5})([smhd])$/.exec(text) ?? [];
  const ms = Number(digits) * (UNIT_MS[unit] ?? 0);
  return ms > 0 ? ms : undefined;
}

/** What an option says, in milliseconds; fails when it is no time, or above `msMax`. */
export function parseTime(option: string, text: string | undefined, msMax: number): number {
  const ms = durationMs(text ?? "");
  if (ms !== undefined && ms <= msMax) return ms;
  const said = text === undefined ? " is missing" : ` ${JSON.stringify(text)}`;
  const wrong = ms === undefined ? "" : " is too long";
  const most = msMax % UNIT_MS.d! === 0 && msMax > UNIT_MS.d! ? "d" : "h";
  throw new Failure(
    EXIT.usage,
    `${option}${said}${wrong}: say 30s, 10m or 2h, at most ${msMax / UNIT_MS[most]!}${most}`,
  );
}
