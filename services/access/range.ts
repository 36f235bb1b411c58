/** One range of bytes, as HTTP asks for it (RFC 9110, 14). Pure. */
export interface ByteRange {
  readonly start: number;
  /** The last byte's place, as HTTP counts. */
  readonly last: number;
}

const RANGE = /^bytes=(\d{0,15})-(\d{0,15})$/;

/**
 * "whole": there is no range, or one that is not understood, or several, which a server may answer with the
 * whole; "none": the range holds no byte of these.
 */
export function rangeOf(header: string | undefined, bytes: number): ByteRange | "whole" | "none" {
  const [, first = "", last = ""] = RANGE.exec(header ?? "") ?? [];
  if (first === "" && last === "") return "whole";
  if (first === "") {
    const length = Number(last);
    return length === 0 ? "none" : { start: Math.max(0, bytes - length), last: bytes - 1 };
  }
  const start = Number(first);
  const end = last === "" ? bytes - 1 : Math.min(bytes - 1, Number(last));
  if (last !== "" && Number(last) < start) return "whole"; // it is no range
  return start >= bytes ? "none" : { start, last: end };
}
