/**
 * Frames over plain HTTP requests (services/access/long-poll.ts), for networks that let no WebSocket
 * pass. A request that fails is repeated once with its number, which loses and doubles nothing; when it
 * fails again the channel has ended.
 */
import {
  LengthPrefixedReader,
  lengthPrefixed,
} from "../../services/svrkit/transport/length-prefixed.ts";
import { type Channel, type ChannelEvents, withScheme } from "./transport.ts";

const FRAME_BYTES_MAX = 1024 * 1024;
const SEND_TIMEOUT_MS = 3_000;
/** What is large takes longer, and is not given up before the heartbeat hears nothing of it any more. */
const SEND_BYTES_PER_MS_MIN = 3;
/** Longer than access lets a poll wait. */
const POLL_TIMEOUT_MS = 25_000;

export function longPollTransport(url: string, events: ChannelEvents): Channel {
  const session = new PollSession(`${withScheme(url, "http")}/v1/poll`, events);
  void session.run();
  return session;
}

class PollSession implements Channel {
  readonly #base: string;
  readonly #events: ChannelEvents;
  readonly #aborting = new AbortController();
  #path = "";
  #isOver = false;
  #queue: Uint8Array[] = [];
  #sent = 0;
  #sending = false;

  constructor(base: string, events: ChannelEvents) {
    this.#base = base;
    this.#events = events;
  }

  async run(): Promise<void> {
    try {
      const opened = await this.#ask("", { method: "POST" }, SEND_TIMEOUT_MS);
      const { session } = (await opened.json()) as { session: string };
      this.#path = `/${session}`;
      if (this.#isOver) {
        this.#forget();
        return;
      }
      this.#events.opened();
      for (let number = 1; !this.#isOver; number++) await this.#poll(number);
    } catch {
      this.#end();
    }
  }

  send(frame: Uint8Array<ArrayBuffer>): void {
    if (this.#path === "" || this.#isOver) return;
    this.#queue.push(lengthPrefixed(frame));
    if (!this.#sending) void this.#sendQueue();
  }

  close(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#aborting.abort();
    if (this.#path !== "") this.#forget();
  }

  async #sendQueue(): Promise<void> {
    this.#sending = true;
    try {
      await Promise.resolve(); // what is sent in this turn goes in one request
      while (this.#queue.length > 0 && !this.#isOver) {
        const body = new Blob(this.#queue as Uint8Array<ArrayBuffer>[]);
        this.#queue = [];
        this.#sent += 1;
        const timeoutMs = SEND_TIMEOUT_MS + Math.ceil(body.size / SEND_BYTES_PER_MS_MIN);
        await this.#askTwice(`/${this.#sent}`, { method: "POST", body }, timeoutMs);
      }
    } catch {
      this.#end();
    }
    this.#sending = false;
  }

  async #poll(number: number): Promise<void> {
    let taken = 0;
    const take = async () => {
      // Asked for again it is the same answer: of what an earlier one had brought nothing is taken twice.
      let left = taken;
      for await (const frame of this.#framesOf(number)) {
        if (this.#isOver) return;
        if (left-- > 0) continue;
        taken += 1;
        this.#events.received(frame);
      }
    };
    await this.#twice(take);
  }

  /** Each as soon as it is there: on a slow network what is large takes longer than the other side may be silent. */
  async *#framesOf(number: number): AsyncGenerator<Uint8Array> {
    const giveUp = new AbortController();
    const signal = AbortSignal.any([this.#aborting.signal, giveUp.signal]);
    let timer = setTimeout(() => giveUp.abort(), POLL_TIMEOUT_MS);
    try {
      const answer = await this.#fetch(`/${number}`, { method: "GET", signal });
      const reader = new LengthPrefixedReader(FRAME_BYTES_MAX);
      for await (const bytes of bytesOf(answer)) {
        clearTimeout(timer);
        timer = setTimeout(() => giveUp.abort(), POLL_TIMEOUT_MS);
        const frames = reader.push(bytes);
        if (frames === undefined) throw new Error("these are no frames");
        yield* frames;
      }
      if (!reader.isBetween) throw new Error("the answer ends within a frame");
    } finally {
      clearTimeout(timer);
    }
  }

  #askTwice(path: string, init: RequestInit, timeoutMs: number): Promise<Response> {
    return this.#twice(() => this.#ask(path, init, timeoutMs));
  }

  async #twice<O>(act: () => Promise<O>): Promise<O> {
    try {
      return await act();
    } catch (error) {
      if (this.#isOver) throw error;
      return act();
    }
  }

  #ask(path: string, init: RequestInit, timeoutMs: number): Promise<Response> {
    const signal = AbortSignal.any([this.#aborting.signal, AbortSignal.timeout(timeoutMs)]);
    return this.#fetch(path, { ...init, signal });
  }

  async #fetch(path: string, init: RequestInit): Promise<Response> {
    const response = await fetch(`${this.#base}${this.#path}${path}`, init);
    if (!response.ok) throw new Error(`${response.status}`);
    return response;
  }

  #forget(): void {
    const signal = AbortSignal.timeout(SEND_TIMEOUT_MS);
    fetch(`${this.#base}${this.#path}`, { method: "DELETE", signal }).catch(() => {});
  }

  #end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#aborting.abort();
    this.#events.closed();
  }
}

async function* bytesOf(answer: Response): AsyncGenerator<Uint8Array> {
  const body = answer.body?.getReader();
  // React Native's fetch has no streams: what it brings is there when it is whole.
  if (body === undefined) yield new Uint8Array(await answer.arrayBuffer());
  else for (let part = await body.read(); !part.done; part = await body.read()) yield part.value;
}
