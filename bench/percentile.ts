/** The value below which the share `p` of the ascending list lies, rounded to 0.01. */
export function percentile(sorted: readonly number[] | Float64Array, p: number): number {
  if (sorted.length === 0) return 0;
  const index = Math.min(sorted.length - 1, Math.floor(sorted.length * p));
  return Math.round(sorted[index]! * 100) / 100;
}
