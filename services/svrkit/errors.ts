/**
 * The one error that crosses process boundaries, and the registry of its codes.
 *
 * A code says what the caller can do; the message says, to a person, what happened, what it means
 * and what to do. Numbers 1-16 are gRPC's, so that a gRPC door needs no table; ours start at 100.
 * A number is never reused for another meaning.
 */

interface CodeFacts {
  readonly number: number;
  /** Another replica, or the same one a little later, may succeed. */
  readonly retryable: boolean;
  /** HTTP status at the access layer. */
  readonly http: number;
  readonly meaning: string;
}

export const codes = {
  INVALID_ARGUMENT: fact(3, false, 400, "the request breaks a rule of its own format or limits"),
  DEADLINE_EXCEEDED: fact(4, false, 504, "the time allowed ran out; the outcome is unknown"),
  NOT_FOUND: fact(5, false, 404, "the thing named does not exist"),
  ALREADY_EXISTS: fact(6, false, 409, "the thing to create exists already"),
  PERMISSION_DENIED: fact(7, false, 403, "the identity is known and may not do this"),
  RESOURCE_EXHAUSTED: fact(8, false, 429, "a limit is reached; slow down or make room"),
  FAILED_PRECONDITION: fact(9, false, 409, "the state does not allow this now"),
  ABORTED: fact(10, false, 409, "a concurrent change won; read again and retry"),
  UNIMPLEMENTED: fact(12, false, 501, "this server does not know the method"),
  INTERNAL: fact(13, false, 500, "a defect of the server; its log has the cause"),
  UNAVAILABLE: fact(14, true, 503, "nobody who could do it answered; retry"),
  UNAUTHENTICATED: fact(16, false, 401, "the ticket is missing, expired or forged; log in again"),
  OUTCOME_UNKNOWN: fact(100, false, 409, "this operation is too old to say whether it ran"),
  STORAGE_REFUSED: fact(101, true, 507, "the disk takes no writes; free space or make it writable"),
  FENCED: fact(102, false, 409, "a newer writer or owner took over"),
  TOO_LARGE: fact(103, false, 413, "a message or field is over its size limit"),
  OVERLOADED: fact(
    106,
    true,
    503,
    "too much is asked for here, nothing was done; retry a little later",
  ),
  MOVED: fact(105, false, 503, "another group serves this key now; ask that one"),
  NO_QUORUM: fact(104, true, 503, "fewer than two of three campuses answered"),
} as const satisfies Record<string, CodeFacts>;

export type Code = keyof typeof codes;

function fact(number: number, retryable: boolean, http: number, meaning: string): CodeFacts {
  return { number, retryable, http, meaning };
}

const codeByNumber = new Map<number, Code>(
  Object.entries(codes).map(([name, facts]) => [facts.number, name as Code]),
);

/**
 * Longest message, bytes of UTF-8. It may repeat what somebody sent, and goes into heads of frames (64 KiB) and
 * of gRPC (8 KiB in some of its clients, three bytes for one): cut here, no answer of an error can fail.
 */
export const MESSAGE_BYTES_MAX = 1_024;
const CUT_MARK = " ... (cut)";
const utf8 = new TextEncoder();
const room = new Uint8Array(MESSAGE_BYTES_MAX);
const roomBeforeMark = room.subarray(CUT_MARK.length);

function bounded(message: string): string {
  // No character takes more than three bytes for each of its UTF-16 units.
  if (message.length * 3 <= MESSAGE_BYTES_MAX) return message;
  if (utf8.encodeInto(message, room).read === message.length) return message;
  return message.slice(0, utf8.encodeInto(message, roomBeforeMark).read) + CUT_MARK;
}

export class RpcError extends Error {
  readonly code: Code;
  /** As the code says, unless whoever made it knew better. */
  readonly retryable: boolean;

  constructor(code: Code, message: string, options?: { cause?: unknown; retryable?: boolean }) {
    const said = bounded(message);
    // A refusal is an answer, and the cheaper it is the more of an overload is borne: walking the stack takes
    // longer than a whole call. What nobody foresaw keeps where it was thrown.
    const limit = Error.stackTraceLimit;
    if (code !== "INTERNAL") Error.stackTraceLimit = 0;
    super(said, options);
    Error.stackTraceLimit = limit;
    this.name = "RpcError";
    this.code = code;
    this.retryable = options?.retryable ?? codes[code].retryable;
  }

  /** What came off the wire; an unknown number (a newer peer) is INTERNAL. */
  static fromWire(number: number, message: string): RpcError {
    const code = codeByNumber.get(number);
    return code === undefined
      ? new RpcError("INTERNAL", `unknown error code ${number}: ${message}`)
      : new RpcError(code, message);
  }

  /** Any thrown value as an RpcError; one that is already is returned as it is. */
  static from(thrown: unknown): RpcError {
    if (thrown instanceof RpcError) return thrown;
    const text = thrown instanceof Error ? thrown.message : String(thrown);
    return new RpcError("INTERNAL", text, { cause: thrown });
  }
}

/** In the message with which a deleted account's tickets are refused: who deletes it may hear no other answer. */
export const ACCOUNT_DELETED = "the account was deleted";

const SAYS_LITTLE: ReadonlySet<Code> = new Set(["UNAVAILABLE", "DEADLINE_EXCEEDED"]);

/**
 * Which of two failures of one call to tell: "a disk is full" or "no quorum" is not to be forgotten over
 * a last attempt that had no time left, nor is any reason over one that `ranOut` of it.
 */
export function moreTelling(
  before: RpcError | undefined,
  now: RpcError,
  { ranOut } = { ranOut: false },
): RpcError {
  if (before === undefined) return now;
  const isBeforeTelling = ranOut || !SAYS_LITTLE.has(before.code);
  return isBeforeTelling && SAYS_LITTLE.has(now.code) ? before : now;
}

/** Fails with INVALID_ARGUMENT unless the caller's input keeps the rule. */
export function requireArgument(holds: boolean, message: string): asserts holds {
  if (!holds) throw new RpcError("INVALID_ARGUMENT", message);
}
