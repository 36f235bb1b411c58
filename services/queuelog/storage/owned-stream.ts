/**
 * A JetStream stream that one process at a time appends to.
 *
 * Whoever opens it publishes a claim, and from then on names with every message the sequence that must
 * be the stream's last. A process that held it before, and a message of its own that was given up and
 * arrives late, name an older one, and the server refuses them. So what this process knows of the stream
 * is all there is; when that turns out wrong, it has lost the stream and must end.
 *
 * The server acknowledges a message when it is synced, provided that it runs with `sync_interval: always`.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import {
  type DirectBatchStartSeq,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamClient,
  type JetStreamManager,
  jetstream,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StoredMsg,
} from "@nats-io/jetstream";
import { connect, headers, type NatsConnection } from "@nats-io/transport-node";
import { rest } from "../../svrkit/rest.ts";
import { readServerSecrets } from "../../svrkit/server-secrets.ts";
import { NO_ANSWER } from "./files.ts";

const ANSWER_TIMEOUT_MS = 1_000;
const OPENING_TIMEOUT_MS = 5_000;
const CONNECT_TIMEOUT_MS = 2_000;
const RECONNECT_EVERY_MS = 200;
const PING_EVERY_MS = 2_000;
const PINGS_UNANSWERED_MAX = 2;
const READ_MESSAGES_MAX = 256;
const NAMES_MAX = 10_000;
const READ_BYTES_MAX = 16 * 1024 * 1024;
/** What a message carries besides its data, at most. */
const ENVELOPE_BYTES = 4_096;
const WRITER = "Tricampus-Writer";
const EXPECTED_LAST = "Nats-Expected-Last-Sequence";
const WRONG_LAST_SEQUENCE = 10_071;
const STREAM_NOT_FOUND = 10_059;
const NO_MESSAGE_FOUND = 10_037;

export interface StreamPlace {
  /** "nats://10.0.0.7:4222", "tls://..." */
  readonly url: string;
  /** Folder of files: svrkit/server-secrets.ts. */
  readonly secretsDir?: string | undefined;
  /** Of the stream and, with ".>", of its subjects. */
  readonly stream: string;
}

/** By header: what a message says besides its data. */
export type Envelope = Readonly<Record<string, string>>;

/** The server did not answer, or not in time: whether it did what was asked is not known. */
class Unanswered extends Error {
  readonly code = NO_ANSWER;
}

/** Somebody else appended. */
class Taken extends Error {
  constructor(stream: string) {
    super(`another process appends to the stream ${stream}: this one ends`);
  }
}

export class OwnedStream {
  readonly #connection: NatsConnection;
  readonly #jetstream: JetStreamClient;
  readonly #manager: JetStreamManager;
  readonly #stream: string;
  readonly #writer = randomBytes(8).toString("hex");
  #isConnected = true;
  #last = 0;
  /** An append was refused and not taken back: what the stream's end is, is not known. */
  #isUnsure = false;

  private constructor(connection: NatsConnection, manager: JetStreamManager, stream: string) {
    this.#connection = connection;
    this.#jetstream = jetstream(connection, { timeout: ANSWER_TIMEOUT_MS });
    this.#manager = manager;
    this.#stream = stream;
  }

  /**
   * Waits for the server so long, then rejects with its last reason. `create`: the stream is made; else it
   * must be there, and undefined says that it is not.
   */
  static async open(
    place: StreamPlace,
    { create, waitMs }: { create: boolean; waitMs: number },
  ): Promise<OwnedStream | undefined> {
    const connection = await connectWithin(place, waitMs);
    try {
      const opening = await jetstreamManager(connection, { timeout: OPENING_TIMEOUT_MS });
      if (create) await opening.streams.add(streamConfig(place));
      else if (!(await isThere(opening, place.stream))) {
        await connection.close();
        return undefined;
      }
      const asked = { timeout: ANSWER_TIMEOUT_MS, checkAPI: false };
      const manager = await jetstreamManager(connection, asked);
      const owned = new OwnedStream(connection, manager, place.stream);
      void owned.#follow();
      owned.#last = await owned.#publish("claim", new Uint8Array(), {});
      const older = { filter: owned.#subject("claim"), keep: 1 };
      await opening.streams.purge(place.stream, older);
      return owned;
    } catch (error) {
      await connection.close();
      throw error;
    }
  }

  /** Bytes of data that fit into one message. */
  get messageBytesMax(): number {
    return (this.#connection.info?.max_payload ?? 1024 * 1024) - ENVELOPE_BYTES;
  }

  get isConnected(): boolean {
    return this.#isConnected;
  }

  /**
   * Appends; resolves to the message's sequence when it is synced. Rejects with an error that
   * files.ts calls a refusal when it may not have been stored; then `takeBack` is due.
   */
  async append(subject: string, data: Uint8Array, envelope: Envelope): Promise<number> {
    assert(!this.#isUnsure, "what was refused is taken back before anything is appended");
    this.#isUnsure = true;
    const expected = { [EXPECTED_LAST]: String(this.#last) };
    this.#last = await this.#publish(subject, data, { ...envelope, ...expected });
    this.#isUnsure = false;
    return this.#last;
  }

  get isUnsure(): boolean {
    return this.#isUnsure;
  }

  /**
   * After an append that was refused: says what does not count, and makes sure of the stream's end. What
   * is said is refused like any other message where somebody else has appended, for it would take back
   * what was promised since.
   */
  async takeBack(subject: string, envelope: Envelope): Promise<void> {
    const expected = { [EXPECTED_LAST]: String(await this.#endOfOurs()) };
    try {
      this.#last = await this.#publish(subject, new Uint8Array(), { ...envelope, ...expected });
    } catch (error) {
      if (!(error instanceof Taken)) throw error;
      // It may have been a late message of our own: whose it was is asked next time.
      throw new Unanswered(`NATS, stream ${this.#stream}: its end moved`, { cause: error });
    }
    this.#isUnsure = false;
  }

  /** The stream's last sequence, when all behind what is known is this process's own. */
  async #endOfOurs(): Promise<number> {
    const { streams } = this.#manager;
    const { state } = await this.#asked(() => streams.info(this.#stream));
    const last = state.last_seq;
    if (last === this.#last) return last;
    const message = await this.#asked(() => streams.getMessage(this.#stream, { seq: last }));
    // A message of ours names the one before, so none of somebody else's is between.
    if (last < this.#last || message?.header.get(WRITER) !== this.#writer)
      throw new Taken(this.#stream);
    return last;
  }

  /** Messages of these sequences that are there, in order. */
  async *read(from: number, through: number, subject?: string): AsyncGenerator<StoredMsg> {
    for (let next = from; next <= through; ) {
      const page = await this.#page({
        seq: next,
        batch: Math.min(READ_MESSAGES_MAX, through - next + 1),
        max_bytes: READ_BYTES_MAX,
        ...(subject !== undefined && { next_by_subj: this.#subject(subject) }),
      });
      for (const message of page) if (message.seq <= through) yield message;
      const last = page.at(-1);
      if (last === undefined) return;
      next = last.seq + 1;
    }
  }

  /**
   * The server sends a page's messages one by one; one that falls silent before the end is not waited for.
   * With a callback, since the client's iterator never gives back its subscription.
   */
  #page(query: DirectBatchStartSeq): Promise<StoredMsg[]> {
    return this.#asked(async () => {
      const found: StoredMsg[] = [];
      const { promise: end, resolve, reject } = Promise.withResolvers<void>();
      const tooLate = new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`);
      const timer = setTimeout(() => reject(tooLate), ANSWER_TIMEOUT_MS);
      const callback = (done: { err?: Error } | null, message: StoredMsg) => {
        if (done === null) {
          found.push(message);
          timer.refresh();
        } else if (done.err === undefined || isNothing(done.err)) resolve();
        else reject(done.err);
      };
      try {
        const page = await this.#manager.direct.getBatch(this.#stream, { ...query, callback });
        await end.finally(() => page.stop());
      } finally {
        clearTimeout(timer);
      }
      return found;
    });
  }

  get last(): number {
    return this.#last;
  }

  /** Forgets the messages of a subject and those below it. */
  async purge(subject: string): Promise<void> {
    const filter = `${this.#subject(subject)}.>`;
    await this.#asked(() => this.#manager.streams.purge(this.#stream, { filter }));
  }

  /** Names of other streams that begin so, as far as the server lists them. */
  async others(prefix: string): Promise<string[]> {
    const found: string[] = [];
    await this.#asked(async () => {
      let looked = 0;
      for await (const name of this.#manager.streams.names()) {
        looked += 1;
        if (name.startsWith(prefix) && name !== this.#stream) found.push(name);
        if (looked === NAMES_MAX) return;
      }
    });
    return found;
  }

  /** The subject of a stored message, without the stream's name. */
  subjectOf(message: StoredMsg): string {
    return message.subject.slice(this.#stream.length + 1);
  }

  async close(): Promise<void> {
    await this.#connection.close();
  }

  #subject(subject: string): string {
    return `${this.#stream}.${subject}`;
  }

  async #publish(subject: string, data: Uint8Array, envelope: Envelope): Promise<number> {
    const told = headers();
    for (const [name, value] of Object.entries(envelope)) told.set(name, value);
    told.set(WRITER, this.#writer);
    const options = { headers: told, timeout: ANSWER_TIMEOUT_MS };
    const { seq } = await this.#asked(() =>
      this.#jetstream.publish(this.#subject(subject), data, options),
    );
    return seq;
  }

  async #asked<T>(ask: () => Promise<T>): Promise<T> {
    // What is published without a connection would be kept in memory until there is one.
    if (!this.#isConnected) throw new Unanswered("NATS is not connected");
    try {
      return await ask();
    } catch (error) {
      if (error instanceof JetStreamApiError && error.code === WRONG_LAST_SEQUENCE)
        throw new Taken(this.#stream);
      const { message } = error as Error;
      throw new Unanswered(`NATS, stream ${this.#stream}: ${message}`, { cause: error });
    }
  }

  async #follow(): Promise<void> {
    for await (const { type } of this.#connection.status()) {
      if (type === "disconnect" || type === "staleConnection") this.#isConnected = false;
      if (type === "reconnect") this.#isConnected = true;
    }
  }
}

async function connectWithin(place: StreamPlace, waitMs: number): Promise<NatsConnection> {
  const giveUpMs = performance.now() + waitMs;
  for (;;) {
    try {
      return await connectTo(place);
    } catch (error) {
      if (performance.now() >= giveUpMs) {
        const { message } = error as Error;
        const text = `NATS at ${place.url} could not be reached for ${waitMs / 1_000} s: ${message}`;
        throw new Error(text, { cause: error });
      }
    }
    await rest(RECONNECT_EVERY_MS);
  }
}

function connectTo({ url, secretsDir, stream }: StreamPlace): Promise<NatsConnection> {
  const { username, password, token, ca, cert, key } = readServerSecrets(secretsDir);
  return connect({
    servers: url,
    name: stream,
    ...(username !== undefined && { user: username }),
    ...(password !== undefined && { pass: password }),
    ...(token !== undefined && { token }),
    ...(ca !== undefined && { tls: { ca, ...(cert && { cert }), ...(key && { key }) } }),
    timeout: CONNECT_TIMEOUT_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: RECONNECT_EVERY_MS,
    reconnectJitter: RECONNECT_EVERY_MS,
    pingInterval: PING_EVERY_MS,
    maxPingOut: PINGS_UNANSWERED_MAX,
    ignoreClusterUpdates: true,
  });
}

function streamConfig({ stream }: StreamPlace) {
  return {
    name: stream,
    subjects: [`${stream}.>`],
    storage: StorageType.File,
    retention: RetentionPolicy.Limits,
    // A full stream takes no more; forgetting the oldest would lose what was promised.
    discard: DiscardPolicy.New,
    allow_direct: true,
    // The copies are the other campuses' logs. One that lags here would answer reads, as if damaged.
    num_replicas: 1,
  };
}

async function isThere(manager: JetStreamManager, stream: string): Promise<boolean> {
  try {
    await manager.streams.info(stream);
    return true;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return false;
    throw error;
  }
}

function isNothing(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return code === 404 || code === NO_MESSAGE_FOUND;
}
