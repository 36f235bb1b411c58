/** Times as people write them. */
const UNIT_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 24 * 3_600_000,
};

/** "30s", "10m", "2h" or "3d" in milliseconds; undefined when it is none. */
export function durationMs(text: string): number | undefined {
  const [, digits = "", unit = ""] = /^([1-9]\d{0,5})([smhd])$/.exec(text) ?? [];
  const ms = Number(digits) * (UNIT_MS[unit] ?? 0);
  return ms > 0 ? ms : undefined;
}
