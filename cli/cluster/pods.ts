/**
 * The pods behind one address of the cluster. Which of them a connection leads to is the network's choice,
 * and it stays with that one; so connections are made until a good many in a row have led to none that is
 * not known yet. It needs neither the API server nor the admin door to know any pod.
 */
import type { StatusReply } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import type { ReachedPod, ReachedProcess } from "../reach.ts";

/** One connection, to whichever pod it led. */
export interface PodConnection {
  /** undefined: no answer in that time. */
  ask(timeoutMs: number): Promise<StatusReply | undefined>;
  stop(): void;
}

/**
 * So many connections in a row without a new pod, for each one that is known, and it is taken that all are:
 * of two or three pods one is overlooked once in a thousand times.
 */
const KNOWN_AGAIN = 10;
const ASK_TIMEOUT_MS = 1_500;

export async function podsBehind(
  process: ReachedProcess,
  connect: () => PodConnection,
): Promise<ReachedPod[]> {
  const found = new Map<string, PodConnection>();
  for (let again = 0; again < KNOWN_AGAIN * Math.max(1, found.size); ) {
    const connection = connect();
    const reply = await connection.ask(ASK_TIMEOUT_MS);
    if (reply !== undefined && !found.has(reply.process)) {
      found.set(reply.process, connection);
      continue;
    }
    connection.stop();
    // Silence costs its time and shows nothing: the process is there, and said to be silent later.
    again += reply === undefined ? KNOWN_AGAIN : 1;
  }
  if (found.size === 0) return [new PinnedPod(process, { connect, connection: connect() })];
  return [...found].map(([self, connection]) => {
    const name = found.size === 1 ? process.name : self;
    const isOnly = found.size === 1;
    return new PinnedPod(
      { ...process, name },
      { connect, connection, self: isOnly ? undefined : self },
    );
  });
}

interface Pin {
  readonly connect: () => PodConnection;
  readonly connection: PodConnection;
  /** What the pod calls itself; undefined: it is the only one, and its successor is as good. */
  readonly self?: string | undefined;
}

class PinnedPod implements ReachedPod {
  readonly name: string;
  readonly campus: string;
  readonly services: readonly string[];
  readonly #pin: Pin;
  #connection: PodConnection;

  constructor({ name, campus, services }: ReachedProcess, pin: Pin) {
    this.name = name;
    this.campus = campus;
    this.services = services;
    this.#pin = pin;
    this.#connection = pin.connection;
  }

  /** A connection that broke may have been made anew to another pod: others are tried then. */
  async ask(timeoutMs: number): Promise<StatusReply | undefined> {
    const { connect, self } = this.#pin;
    const untilMs = performance.now() + timeoutMs;
    for (let attempt = 0; attempt <= KNOWN_AGAIN; attempt++) {
      const leftMs = untilMs - performance.now();
      if (leftMs <= 0) return undefined;
      const reply = await this.#connection.ask(leftMs);
      if (reply === undefined || self === undefined || reply.process === self) return reply;
      this.#connection.stop();
      this.#connection = connect();
    }
    return undefined;
  }

  stop(): void {
    this.#connection.stop();
  }
}
