/**
 * Amounts as the API server writes them: it changes "0.5" to "500m" and "1024Mi" to "1Gi". What is applied
 * is written in that way from the start, or it would look changed ever after.
 */

const BINARY = ["", "Ki", "Mi", "Gi", "Ti", "Pi"] as const;
const DECIMAL = ["m", "", "k", "M", "G", "T", "P"] as const;
const FORM = /^(\d+(?:\.\d+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi)?$/;

export type Quantity = string | number;

/** The amount in thousandths, rounded up. Throws on what is no amount. */
function thousandths(quantity: Quantity): { value: bigint; isBinary: boolean } {
  const found = FORM.exec(String(quantity));
  if (found === null) throw new Error(`"${quantity}" is no amount like 500m or 20Gi`);
  const [, digits = "", suffix = ""] = found;
  const isBinary = suffix.endsWith("i");
  const factor = isBinary
    ? 1_000n * 1_024n ** BigInt(BINARY.indexOf(suffix as (typeof BINARY)[number]))
    : 1_000n ** BigInt(DECIMAL.indexOf(suffix as (typeof DECIMAL)[number]));
  const [whole = "", fraction = ""] = digits.split(".");
  const scale = 10n ** BigInt(fraction.length);
  const scaled = BigInt(whole + fraction) * factor;
  return { value: (scaled + scale - 1n) / scale, isBinary };
}

/** In whole units, rounded up: bytes, or cores. */
export function wholeUnits(quantity: Quantity): number {
  return Number((thousandths(quantity).value + 999n) / 1_000n);
}

export function canonicalQuantity(quantity: Quantity): string {
  const { value, isBinary } = thousandths(quantity);
  if (value === 0n) return "0";
  if (isBinary && value >= 1_024_000n) {
    return shortest((value + 999n) / 1_000n, 1_024n, BINARY);
  }
  return shortest(value, 1_000n, DECIMAL);
}

/** The largest suffix that needs no fraction. */
function shortest(value: bigint, base: bigint, suffixes: readonly string[]): string {
  let [mantissa, power] = [value, 0];
  while (power < suffixes.length - 1 && mantissa % base === 0n) {
    mantissa /= base;
    power += 1;
  }
  return `${mantissa}${suffixes[power]}`;
}
