/** What people write into files, checked against a schema: what is wrong is one line that names the field. */
import { z } from "zod";

/** `input` as the schema has it; throws an Error of one line that names `source` and the field. */
export function checkedAgainst<T extends z.ZodType>(
  checked: T,
  input: unknown,
  source: string,
): z.output<T> {
  const parsed = checked.safeParse(input);
  if (parsed.success) return parsed.data;
  const { field, what } = firstWrong(parsed.error, checked);
  throw new Error(`${source}: ${field === "" ? "" : `${field}: `}${what}`);
}

/** The first thing that is wrong; the field is empty when it is the whole. */
export function firstWrong(
  { issues }: z.ZodError,
  schema: z.ZodType,
): { field: string; what: string } {
  const issue = issues[0]!;
  const isUnknown = issue.code === "unrecognized_keys";
  const field = [...issue.path, ...(isUnknown ? issue.keys.slice(0, 1) : [])].join(".");
  if (!isUnknown) return { field, what: issue.message };
  const known = issue.path.length === 0 ? namesIn(schema) : [];
  const there = known.length === 0 ? "" : `; there are ${known.join(", ")}`;
  return { field, what: `there is no such field${there}` };
}

function namesIn(schema: z.ZodType): string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** A whole number within bounds: whatever is wrong with it, the bounds are said. */
export function wholeNumber(min: number, max: number) {
  return z.int(`must be a whole number, ${min} to ${max}`).min(min).max(max);
}
