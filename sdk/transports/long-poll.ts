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
    const answer = await this.#askTwice(`/${number}`, { method: "GET" }, POLL_TIMEOUT_MS);
    const reader = new LengthPrefixedReader(FRAME_BYTES_MAX);
    const frames = reader.push(new Uint8Array(await answer.arrayBuffer()));
    if (frames === undefined || !reader.isBetween) throw new Error("these are no frames");
    for (const frame of frames) if (!this.#isOver) this.#events.received(frame);
  }

  async #askTwice(path: string, init: RequestInit, timeoutMs: number): Promise<Response> {
    try {
      return await this.#ask(path, init, timeoutMs);
    } catch (error) {
      if (this.#isOver) throw error;
      return this.#ask(path, init, timeoutMs);
    }
  }

  async #ask(path: string, init: RequestInit, timeoutMs: number): Promise<Response> {
    const signal = AbortSignal.any([this.#aborting.signal, AbortSignal.timeout(timeoutMs)]);
    const response = await fetch(`${this.#base}${this.#path}${path}`, { ...init, signal });
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
