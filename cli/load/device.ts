/**
 * A user's device in a load: the SDK's client with its store, which outlives the client, as an
 * application's does when it is started again.
 */
import { type Login, TricampusClient } from "../../sdk/client.ts";
import type { Endpoint } from "../../sdk/endpoints.ts";
import { FileStore } from "../../sdk/file-store.ts";
import type { Sent } from "../../sdk/outbox.ts";
import {
  type DeviceStore,
  MemoryStore,
  type Recipient,
  type SendRecord,
  type StoredMessage,
} from "../../sdk/store.ts";
import { rest } from "../../services/svrkit/rest.ts";

/** Everybody's: the platform's work with it is the same for all. */
const PASSWORD = "loaded-by-tricampus";
/** A device waits so long for its own sends before it goes away. */
const QUIET_MS = 5;
const CONNECT_TIMEOUT_MS = 30_000;

export interface DeviceFacts {
  readonly user: string;
  readonly device: string;
  /** undefined: in memory. */
  readonly path: string | undefined;
  readonly endpoints: readonly Endpoint[];
  readonly arrived: (message: StoredMessage) => void;
  /** The outcome of a send whose sender was told that nobody answered. */
  readonly settledLate: (send: SendRecord) => void;
}

export class LoadDevice {
  readonly facts: DeviceFacts;
  readonly store: DeviceStore;
  #client: TricampusClient;
  #login: Login | undefined;
  #sending = 0;
  /** The connection that is being made anew. */
  #returning: Promise<void> | undefined;

  constructor(facts: DeviceFacts) {
    this.facts = facts;
    const { path } = facts;
    const isKept = path !== undefined;
    this.store = isKept ? new FileStore(path, { outlivesPowerCuts: false }) : new MemoryStore();
    this.#client = this.#makeClient();
  }

  get client(): TricampusClient {
    return this.#client;
  }

  async register(): Promise<void> {
    this.#login = await this.#client.register(this.facts.user, PASSWORD);
  }

  async logIn(): Promise<void> {
    this.#login = await this.#client.login(this.facts.user, PASSWORD);
  }

  connect(): Promise<void> {
    return this.#client.connect(CONNECT_TIMEOUT_MS);
  }

  async send(to: Recipient, text: string, clientMessageId: string): Promise<Sent> {
    if (this.#returning !== undefined) await this.#returning;
    this.#sending += 1;
    try {
      return await this.#client.send(to, text, clientMessageId);
    } finally {
      this.#sending -= 1;
    }
  }

  /** Sends that have no outcome yet, whether or not somebody waits for it. */
  get openSends(): number {
    return this.store.openSends().length;
  }

  giveUpSends(): void {
    for (const send of this.store.openSends()) this.#client.giveUp(send.clientMessageId);
  }

  get isReturning(): boolean {
    return this.#returning !== undefined;
  }

  /** Ends the connection and comes back; resolves when connected and in step. */
  comeBack(by: "ticket" | "password"): Promise<void> {
    this.#returning ??= this.#comeBack(by).finally(() => {
      this.#returning = undefined;
    });
    return this.#returning;
  }

  async #comeBack(by: "ticket" | "password"): Promise<void> {
    while (this.#sending > 0) await rest(QUIET_MS);
    await this.#client.close();
    this.#client = this.#makeClient();
    if (by === "password") await this.logIn();
    else this.#client.useLogin(this.#login!);
    await this.connect();
    await this.#client.sync();
  }

  /** For who was not online: the ticket is kept, the connection is not. */
  async leave(): Promise<void> {
    await this.#client.close();
    this.#client = this.#makeClient();
    this.#client.useLogin(this.#login!);
  }

  async close(): Promise<void> {
    await this.#client.close();
    await this.store.close();
  }

  #makeClient(): TricampusClient {
    const { endpoints, device, arrived, settledLate } = this.facts;
    return new TricampusClient({
      ...{ endpoints, device, store: this.store, onMessage: arrived },
      onUpdate: (update) => {
        if (update.kind === "send") settledLate(update.send);
      },
    });
  }
}
