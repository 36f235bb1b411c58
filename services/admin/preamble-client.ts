/**
 * The first line on a connection to the admin door, and the answer to it: where the connection is to
 * lead, or a question. JSON, since people debug doors; everything behind the line is passed on unread.
 */
import { z } from "zod";

/** A line that is longer is no line of ours. */
const LINE_BYTES_MAX = 1_024;

const askedSchema = z.union([
  z.strictObject({ service: z.string().min(1).max(64), campus: z.string().min(1).max(16) }),
  z.strictObject({ describe: z.literal(true) }),
]);

export type Asked = z.output<typeof askedSchema>;

const describedSchema = z.strictObject({
  dc: z.int(),
  /** In order. */
  campuses: z.array(z.string()),
  /** Services that can be reached, those of one process together: the same in all campuses. */
  doors: z.array(z.array(z.string()).min(1)),
});

export type Described = z.output<typeof describedSchema>;

const answerSchema = z.union([
  z.strictObject({ ok: z.literal(true), described: describedSchema.optional() }),
  z.strictObject({ ok: z.literal(false), message: z.string() }),
]);

export type DoorAnswer = z.output<typeof answerSchema>;

/** Throws an Error of one line. */
export function parseAsked(line: string): Asked {
  return parse(line, askedSchema, "the first line names no service and campus");
}

export function parseAnswer(line: string): DoorAnswer {
  return parse(line, answerSchema, "this is no answer of an admin door");
}

function parse<T extends z.ZodType>(line: string, schema: T, otherwise: string): z.output<T> {
  try {
    return schema.parse(JSON.parse(line));
  } catch (error) {
    throw new Error(otherwise, { cause: error });
  }
}

/** The line's text and what follows it; undefined: the line has no end yet. */
export function firstLine(bytes: Buffer): { line: string; rest: Buffer } | undefined {
  const end = bytes.indexOf(0x0a);
  if (end < 0) {
    if (bytes.length > LINE_BYTES_MAX) throw new Error("the first line is too long");
    return undefined;
  }
  if (end > LINE_BYTES_MAX) throw new Error("the first line is too long");
  return { line: bytes.subarray(0, end).toString("utf8"), rest: bytes.subarray(end + 1) };
}
