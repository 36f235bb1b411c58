/**
 * Finishes sends of processes in other campuses that died, or that lost sight of them (M1): whatever
 * was opened and not closed for longer than any send takes. No death has to be noticed for that, and
 * to be wrong about one costs a read.
 *
 * The file keeps what is open through a crash of this process as well. It holds tickets, as long as
 * their sends are open: a send is finished by the authority of its sender and of nobody else.
 */
import type {
  OpenSend,
  WitnessRequest,
} from "../../../protos/gen/tricampus/logic/v1/finish_codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { OpenSendsFile, type OpenSendsFileOptions } from "./open-sends-file.ts";
import { Unfinished } from "./unfinished.ts";

/** As long as clients resend. */
const AGE_MAX_MS = 24 * 3_600_000;
/** A commit that was under way when its process died can still be decided a little later. */
const UNCOMMITTED_ATTEMPTS_MAX = 3;

export interface WitnessOptions extends Pick<OpenSendsFileOptions, "path" | "onTrouble"> {
  readonly sizeMax: number;
  readonly sweepAfterMs: number;
  /** Milliseconds that only rise. */
  readonly now: () => number;
  /** Fails with NOT_FOUND when nothing was committed. */
  readonly finish: (send: OpenSend) => Promise<void>;
}

export class Witness {
  readonly #open: Unfinished<OpenSend>;
  readonly #file: OpenSendsFile;

  constructor(options: WitnessOptions) {
    this.#open = new Unfinished({
      sizeMax: options.sizeMax,
      pauseFirstMs: options.sweepAfterMs,
      now: options.now,
      finish: (send, attempts) => finishIfCommitted(options, send, attempts),
      onLeft: ({ id }) => this.#file.append({ opened: [], closed: [id] }),
    });
    this.#file = new OpenSendsFile({
      path: options.path,
      onTrouble: options.onTrouble,
      open: () => this.#open.sends(),
    });
    this.#file.replay((request) => this.#apply(request));
  }

  get size(): number {
    return this.#open.size;
  }

  take(request: WitnessRequest): void {
    this.#apply(request);
    this.#file.append(request);
  }

  async stop(): Promise<void> {
    // The file first: what is open now is open still when this process comes back.
    await this.#file.close();
    await this.#open.stop();
  }

  #apply({ opened, closed }: WitnessRequest): void {
    for (const send of opened) {
      // Views into a frame otherwise, which must not be kept.
      this.#open.add({ ...send, ticket: Buffer.from(send.ticket) });
    }
    for (const id of closed) this.#open.remove(id);
  }
}

async function finishIfCommitted(
  { finish }: WitnessOptions,
  send: OpenSend,
  attempts: number,
): Promise<void> {
  if (Date.now() - send.openedAtMs > AGE_MAX_MS) {
    throw new RpcError("FAILED_PRECONDITION", "the send is too old to be finished");
  }
  try {
    await finish(send);
  } catch (error) {
    const isLast = attempts + 1 >= UNCOMMITTED_ATTEMPTS_MAX;
    if (RpcError.from(error).code !== "NOT_FOUND" || isLast) throw error;
    throw new RpcError("UNAVAILABLE", "nothing was committed yet", { cause: error });
  }
}
