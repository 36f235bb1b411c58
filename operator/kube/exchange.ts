/**
 * One HTTP request and its answer, over undici's dispatcher: of node:http's work for a small request, streams and
 * events are the larger part, and none of it is needed for a body that is there as a whole.
 */
import { StringDecoder } from "node:string_decoder";
import type { Dispatcher } from "undici";

export interface Exchange {
  readonly method: string;
  readonly path: string;
  /** Name, value, name, value. */
  readonly headers: string[];
  readonly body: string | undefined;
  /** Until the answer's end; of one that is read in lines, once until it begins and then until its end. */
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
  /** Throws when it is not to be sent; asked right before it leaves, over a connection that stands. */
  readonly mayLeave: (() => void) | undefined;
  /** Told that the server answers, before what it says. */
  readonly answered: (() => void) | undefined;
  /** Told each line of a success as it comes; what is thrown breaks the answer off. */
  readonly line: ((text: string) => void) | undefined;
  /** A success of which nobody reads a word. */
  readonly isUnread: boolean;
}

export interface Answer {
  readonly status: number;
  readonly retryAfter: string | undefined;
  /** "" of a success that is unread, or was read in lines. */
  readonly text: string;
}

/** Why there is no answer, or not the whole of one. */
export class NoAnswer extends Error {
  constructor(message: string) {
    super(message);
    this.name = "NoAnswer";
  }
}

/** Rejects with NoAnswer, or with what `mayLeave` or `line` threw. */
export function exchange(dispatcher: Dispatcher, asked: Exchange): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const { method, path, headers, body } = asked;
    const handler = new Handler(asked, { resolve, reject });
    dispatcher.dispatch({ method, path, headers, ...(body !== undefined && { body }) }, handler);
  });
}

interface Settle {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

class Handler implements Dispatcher.DispatchHandler {
  readonly #asked: Exchange;
  readonly #settle: Settle;
  readonly #timer: NodeJS.Timeout;
  /** undefined: it has not left yet. */
  #controller: Dispatcher.DispatchController | undefined;
  #isOver = false;
  /** 0: the answer has not begun yet. */
  #status = 0;
  #retryAfter: string | undefined;
  #chunks: Buffer[] = [];
  #lines: Lines | undefined;

  constructor(asked: Exchange, settle: Settle) {
    this.#asked = asked;
    this.#settle = settle;
    const { timeoutMs, signal } = asked;
    this.#timer = setTimeout(() => {
      const missing = this.#status === 0 ? "no answer" : "no end of it";
      this.#fail(new NoAnswer(`${missing} in ${timeoutMs} ms`));
    }, timeoutMs);
    if (signal?.aborted === true) this.#giveUp();
    else signal?.addEventListener("abort", this.#giveUp);
  }

  readonly #giveUp = () => this.#fail(new NoAnswer("it was given up"));

  onRequestStart(controller: Dispatcher.DispatchController): void {
    // Given up while it waited for a connection: what is thrown here keeps it from being sent.
    if (this.#isOver) throw new NoAnswer("it was given up");
    try {
      this.#asked.mayLeave?.();
    } catch (error) {
      this.#fail(error);
      throw error;
    }
    this.#controller = controller;
  }

  onResponseStart(
    _: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    this.#status = status;
    this.#retryAfter = headers["retry-after"]?.toString();
    const { answered, line } = this.#asked;
    answered?.();
    if (line === undefined || !isSuccess(status)) return;
    this.#lines = new Lines(line);
    this.#timer.refresh();
  }

  onResponseData(_: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#lines === undefined) {
      if (!(this.#asked.isUnread && isSuccess(this.#status))) this.#chunks.push(chunk);
      return;
    }
    try {
      this.#lines.take(chunk);
    } catch (error) {
      this.#fail(error);
    }
  }

  onResponseEnd(): void {
    if (!this.#isOver)
      this.#settle.resolve({
        status: this.#status,
        retryAfter: this.#retryAfter,
        text: textOf(this.#chunks),
      });
    this.#close();
  }

  onResponseError(_: Dispatcher.DispatchController, error: Error): void {
    const hasBegun = this.#status !== 0;
    this.#fail(new NoAnswer(hasBegun ? `the answer broke off: ${error.message}` : error.message));
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    this.#settle.reject(error);
    this.#close();
    this.#controller?.abort(error as Error);
  }

  #close(): void {
    this.#isOver = true;
    this.#chunks = [];
    clearTimeout(this.#timer);
    this.#asked.signal?.removeEventListener("abort", this.#giveUp);
  }
}

export function isSuccess(status: number): boolean {
  return status >= 200 && status < 300;
}

/** As a rule there is one, and nothing to put together. */
function textOf(chunks: readonly Buffer[]): string {
  return (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString("utf8");
}

class Lines {
  readonly #told: (text: string) => void;
  readonly #decoder = new StringDecoder("utf8");
  #begun = "";

  constructor(told: (text: string) => void) {
    this.#told = told;
  }

  take(chunk: Buffer): void {
    const lines = (this.#begun + this.#decoder.write(chunk)).split("\n");
    this.#begun = lines.pop()!;
    for (const text of lines) if (text !== "") this.#told(text);
  }
}
