/**
 * The long way in where only plain HTTP passes. A session carries frames as a WebSocket does, in bodies
 * of frames behind their lengths (length-prefixed.ts):
 *
 *   POST   /v1/poll                      opens one: {session, waitMs}
 *   POST   /v1/poll/<session>/<number>   frames from the client: 204
 *   GET    /v1/poll/<session>/<number>   frames for the client: waits until there are any, waitMs at most
 *   DELETE /v1/poll/<session>            ends it
 *
 * Numbers count from 1, for each direction. A request whose answer was lost is repeated with its number:
 * frames are taken once, and answers given again, until the next number says that they arrived. So both
 * directions are as ordered and as lossless as a connection. The session's id is the right to use it.
 */
import { randomBytes } from "node:crypto";
import type { FastifyInstance, FastifyReply, FastifyRequest, preParsingHookHandler } from "fastify";
import { encodeServerFrame } from "../../protos/gen/tricampus/client/v1/frame_codec.ts";
import { toBytes } from "../svrkit/codec.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";
import { LengthPrefixedReader, lengthPrefixed } from "../svrkit/transport/length-prefixed.ts";
import type { Carrier } from "./carrier.ts";
import { clientAddress } from "./client-address.ts";
import type { ClientConnection } from "./connection.ts";
import type { Connections } from "./connections.ts";
import { FRAME_BYTES_MAX, POLL_WAIT_MS } from "./limits.ts";

const SESSION_BYTES = 24;
/** Time for a client to fetch why its session was closed. */
const CLOSING_MS = 10_000;
const NOTHING = Buffer.alloc(0);
const CONTENT_TYPE = "application/octet-stream";

interface Path {
  readonly session: string;
  readonly number: string;
}

export function acceptLongPolls(http: FastifyInstance, connections: Connections): void {
  const sessions = new Map<string, PollSession>();
  const find = (request: FastifyRequest): PollSession => {
    const { session } = request.params as Path;
    const found = sessions.get(session);
    if (found !== undefined) return found;
    throw new RpcError("NOT_FOUND", "this session is over, or another process's: open one");
  };
  http.post("/v1/poll", (request, reply) => {
    const from = clientAddress(request.socket.remoteAddress);
    if (!connections.hasRoom(from))
      throw new RpcError("UNAVAILABLE", "no more connections are taken here");
    const id = randomBytes(SESSION_BYTES).toString("base64url");
    const session = new PollSession(() => sessions.delete(id));
    session.connection = connections.add(session, from);
    sessions.set(id, session);
    return reply.code(201).send({ session: id, waitMs: POLL_WAIT_MS });
  });
  const preParsing: preParsingHookHandler = (request, _, body, done) => {
    const { connection } = sessions.get((request.params as Path).session) ?? {};
    body.on("data", () => connection?.receiving());
    done(null, body);
  };
  http.post("/v1/poll/:session/:number", { preParsing }, (request, reply) => {
    find(request).take(numberOf(request), request.body);
    return reply.code(204).send();
  });
  http.get("/v1/poll/:session/:number", async (request, reply: FastifyReply) => {
    reply.type(CONTENT_TYPE);
    return find(request).poll(numberOf(request));
  });
  http.delete("/v1/poll/:session", (request, reply) => {
    find(request).terminate();
    return reply.code(204).send();
  });
}

function numberOf(request: FastifyRequest): number {
  const number = Number((request.params as Path).number);
  requireArgument(Number.isSafeInteger(number) && number > 0, "a poll's number counts from 1");
  return number;
}

interface Waiting {
  readonly number: number;
  readonly answer: (bytes: Buffer) => void;
  readonly timer: NodeJS.Timeout;
}

class PollSession implements Carrier {
  connection: ClientConnection | undefined;
  readonly #over: () => void;
  #isOpen = true;
  #isOver = false;
  /** Frames that no answer holds yet. */
  #queue: Uint8Array[] = [];
  #queuedBytes = 0;
  /** Number of the client's newest frames, and of the newest answer, with its bytes. */
  #taken = 0;
  #answered = 0;
  #answer: Buffer = NOTHING;
  #waiting: Waiting | undefined;
  #gathering = false;

  constructor(over: () => void) {
    this.#over = over;
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  get bufferedBytes(): number {
    return this.#queuedBytes + this.#answer.length;
  }

  /** Frames from the client. */
  take(number: number, body: unknown): void {
    this.connection!.heard();
    if (number === this.#taken) return;
    this.#requireNext(number, this.#taken);
    const bytes = Buffer.isBuffer(body) ? body : NOTHING;
    const reader = new LengthPrefixedReader(FRAME_BYTES_MAX);
    const frames = reader.push(bytes);
    if (frames === undefined || !reader.isBetween) {
      throw new RpcError("INVALID_ARGUMENT", "the body is not whole frames behind their lengths");
    }
    this.#taken = number;
    for (const frame of frames) {
      if (this.#isOver) return;
      this.connection!.received(Buffer.from(frame.buffer, frame.byteOffset, frame.length));
    }
  }

  /** Frames for the client, behind their lengths; none when there were none for waitMs. */
  poll(number: number): Promise<Buffer> {
    this.connection!.heard();
    if (number === this.#answered) return Promise.resolve(this.#answer);
    this.#requireNext(number, this.#answered);
    this.#waiting?.answer(NOTHING); // has given up, and asks again
    clearTimeout(this.#waiting?.timer);
    this.#answer = NOTHING;
    return new Promise((answer) => {
      const timer = setTimeout(() => this.#flush(), POLL_WAIT_MS);
      this.#waiting = { number, answer, timer };
      if (this.#queue.length > 0) this.#flush();
      else if (!this.#isOpen) this.terminate();
    });
  }

  send(frame: Buffer): void {
    const bytes = lengthPrefixed(frame);
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    if (this.#waiting === undefined || this.#gathering) return;
    this.#gathering = true;
    setImmediate(() => {
      this.#gathering = false;
      this.#flush();
    });
  }

  ping(): void {
    this.#flush();
  }

  close(_: number, reason: string): void {
    if (!this.#isOpen) return;
    this.send(toBytes(encodeServerFrame, { id: 0, kind: { case: "leave", value: { reason } } }));
    this.#isOpen = false;
    // Nobody knows whose it is, and it holds no socket: it would hold its place for nothing.
    if (this.connection!.who === undefined) this.terminate();
    else setTimeout(() => this.terminate(), CLOSING_MS).unref();
  }

  terminate(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#isOpen = false;
    this.#flush();
    this.#over();
    this.connection!.ended();
  }

  #requireNext(number: number, before: number): void {
    if (number === before + 1) return;
    throw new RpcError("FAILED_PRECONDITION", `number ${number} does not follow ${before}`);
  }

  #flush(): void {
    const waiting = this.#waiting;
    if (waiting === undefined) return;
    this.#waiting = undefined;
    clearTimeout(waiting.timer);
    this.#answered = waiting.number;
    this.#answer = Buffer.concat(this.#queue, this.#queuedBytes);
    this.#queue = [];
    this.#queuedBytes = 0;
    waiting.answer(this.#answer);
  }
}
