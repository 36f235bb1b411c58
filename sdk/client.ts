/**
 * One device of one user: registers or logs in, keeps a connection to one of the campuses, sends,
 * and keeps its store in step with the user's inbox. Used by the command line, the replay, tests and
 * load generators; it needs nothing of Node besides what browsers have too (WebSocket, crypto,
 * performance) and Buffer.
 */
import {
  Account,
  type AccountChange,
  type LoginReply,
  Platform,
} from "../protos/gen/tricampus/client/v1/account_codec.ts";
import type { ContactChange } from "../protos/gen/tricampus/client/v1/contact_codec.ts";
import type { Content } from "../protos/gen/tricampus/client/v1/content_codec.ts";
import type { Push } from "../protos/gen/tricampus/client/v1/frame_codec.ts";
import type { OpenRequest } from "../protos/gen/tricampus/client/v1/session_codec.ts";
import {
  type ConversationSetting,
  type GroupMembership,
  makeInboxMessage,
} from "../protos/gen/tricampus/client/v1/sync_codec.ts";
import { type SendReply, Text } from "../protos/gen/tricampus/client/v1/text_codec.ts";
import { NO_BYTES } from "../services/svrkit/codec.ts";
import { RpcError } from "../services/svrkit/errors.ts";
import { OwnAccount } from "./account.ts";
import { fetchBodies } from "./bodies.ts";
import { Contacts } from "./contacts.ts";
import { Conversations } from "./conversations.ts";
import type { Endpoint } from "./endpoints.ts";
import { Groups } from "./groups.ts";
import { Link, type LinkState } from "./link.ts";
import { openSession } from "./log-in.ts";
import { MediaLibrary } from "./media.ts";
import { MomentBook } from "./moments.ts";
import { Outbox, preciseNow, RESEND_FOR_MS, type Sent } from "./outbox.ts";
import { PASSWORD_OPTIONS, REQUEST_OPTIONS } from "./requester.ts";
import {
  type DeviceStore,
  EMPTY_SNAPSHOT,
  MemoryStore,
  type Recipient,
  type SendRecord,
  type Snapshot,
  type StoredMessage,
} from "./store.ts";
import { type Page, SyncLoop } from "./sync-loop.ts";
import type { Transport } from "./transports/transport.ts";
import { webSocketTransport } from "./transports/web-socket.ts";
import { WhereElse } from "./where-else.ts";

const SEND_PATIENCE_MS = 5_000;
const CONNECT_TIMEOUT_MS = 10_000;
const FALLBACK_SYNC_MS = 30_000;
/** An own message on its way is waited for so long before the next sync, then twice as long. */
const WAIT_FIRST_MS = 500;
const RENEW_PAUSE_MS = 60_000;
/**
 * Clients with open requests come back at once when a campus dies. Their sends go first; their syncs
 * are spread over this time. Idle ones come spread already (endpoints.ts).
 */
const REUNION_MS = 1_500;
/** Access pushes a hint once the connection is registered; should it be lost, the device syncs anyway. */
const FIRST_HINT_MS = 250;

export interface ClientOptions {
  /** One a campus; the first is tried first. */
  readonly endpoints: readonly Endpoint[];
  /** The same at every log-in of one device: 1-64 letters, digits, _ . - */
  readonly device: string;
  /** What kind of device it is: how many of a kind may be logged in is limited. */
  readonly platform?: Platform;
  /** Default: WebSocket. */
  readonly transport?: Transport;
  /** Default: in memory. The client does not close a store that it was given. */
  readonly store?: DeviceStore;
  /** Default true; false: no pushes (a device that only sends). */
  readonly wantPush?: boolean;
  /** Default true; false: only `sync()` syncs. */
  readonly autoSync?: boolean;
  /** Default 5 s: whoever sends hears by then what is the case; an unanswered message stays open. */
  readonly sendTimeoutMs?: number;
  /** Default, and at most, 6 days: for so long an open message is sent again. */
  readonly resendForMs?: number;
  /** Default false; true: the platform traces what this client asks for, a few requests a second. */
  readonly traced?: boolean;
  /** Default 30 s: the longest time without a sync or a push before the device syncs by itself. */
  readonly fallbackSyncMs?: number;
  /** Called for each new message, in the order of the inbox: notices and recalls are messages, too. */
  readonly onMessage?: (message: StoredMessage) => void;
  /** Called for what else is new; the store has it already. */
  readonly onUpdate?: (update: Update) => void;
  readonly onState?: (state: LinkState, campus: string) => void;
  /** The platform does not take this device's ticket any more: it was logged out, or away too long. */
  readonly onLoggedOut?: (reason: string) => void;
}

export type Update =
  /** A message that the device had was taken back. */
  | { readonly kind: "recalled"; readonly conversationId: string; readonly sequence: number }
  /** Another device of the user, or the other side's reading, changed something. */
  | { readonly kind: "setting"; readonly setting: ConversationSetting }
  | { readonly kind: "group"; readonly group: GroupMembership }
  | { readonly kind: "contacts"; readonly change: ContactChange }
  | { readonly kind: "account"; readonly change: AccountChange }
  /** The outcome of a message that `send` had reported as unanswered, or that an earlier run left open. */
  | { readonly kind: "send"; readonly send: SendRecord }
  /** The device was away for longer than the platform keeps messages: some are missing. */
  | { readonly kind: "gap" };

export interface Login {
  readonly userId: string;
  readonly ticket: Uint8Array;
  readonly expiresAtMs: number;
}

export class TricampusClient {
  readonly store: DeviceStore;
  readonly groups: Groups;
  readonly conversations: Conversations;
  readonly contacts: Contacts;
  readonly account: OwnAccount;
  readonly media: MediaLibrary<Sent>;
  readonly moments: MomentBook;
  readonly #options: ClientOptions;
  readonly #fallbackSyncMs: number;
  readonly #ownsStore: boolean;
  readonly #link: Link;
  readonly #syncs: SyncLoop;
  readonly #whereElse: WhereElse;
  readonly #outbox: Outbox;
  #login: Login | undefined;
  /** When half of the ticket's time is over it is renewed; milliseconds since 1970. */
  #renewAtMs = Number.POSITIVE_INFINITY;
  #nextSyncMs = Number.POSITIVE_INFINITY;
  /** How long it waits for an own message that is on its way; 0: there is none. */
  #waitMs = 0;
  #wasAttached = false;
  /** Not before this does a device that came back sync by itself. */
  #syncFromMs = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.#fallbackSyncMs = options.fallbackSyncMs ?? FALLBACK_SYNC_MS;
    this.#ownsStore = options.store === undefined;
    this.store = options.store ?? new MemoryStore();
    this.#link = new Link(options.endpoints, options.transport ?? webSocketTransport, {
      push: (push) => this.#pushed(push),
      attach: () => this.#attachment(),
      changed: (state, campus) => this.#changed(state, campus),
      refused: (error) => this.#options.onLoggedOut?.(error.message),
      tick: (nowMs) => this.#tick(nowMs),
      isTraced: options.traced ?? false,
    });
    const { store } = this;
    this.#whereElse = new WhereElse(this.#link);
    this.#outbox = new Outbox({
      ...{ link: this.#link, store, patienceMs: options.sendTimeoutMs ?? SEND_PATIENCE_MS },
      resendForMs: Math.min(RESEND_FOR_MS, options.resendForMs ?? RESEND_FOR_MS),
      acknowledged: (send, reply, ackedAtMs) => this.#keepOwn(send, reply, ackedAtMs),
      settledLate: (send) => this.#options.onUpdate?.({ kind: "send", send }),
    });
    this.groups = new Groups(this.#link);
    this.conversations = new Conversations(this.#link, store);
    this.contacts = new Contacts(this.#link, store);
    this.account = new OwnAccount(this.#link, store);
    this.moments = new MomentBook(this.#link);
    this.media = new MediaLibrary(this.#link, (...sent) => this.send(...sent));
    this.#syncs = new SyncLoop(this.#link, {
      get snapshot() {
        return store.snapshot;
      },
      get isRebuilding() {
        return store.book.isRebuilding;
      },
      keep: () => store.flush(),
      take: (page, snapshot) => this.#takePage(page, snapshot),
      forget: () => {
        store.add(NO_ROWS, EMPTY_SNAPSHOT);
      },
    });
  }

  get userId(): string | undefined {
    return this.#login?.userId;
  }

  get state(): LinkState {
    return this.#link.state;
  }

  /** The campus that is connected, or tried next. */
  get campus(): string {
    return this.#link.campus;
  }

  /** Makes a user and logs this device in. Repeating it with the same password gives the same user. */
  register(name: string, password: string): Promise<Login> {
    return this.#open({ case: "register", value: { name, password, ...this.#device } });
  }

  /** After `useLogin` with whatever log-in the device had last, it is not held up by who guesses the password. */
  login(name: string, password: string): Promise<Login> {
    const knownTicket = this.#login?.ticket ?? NO_BYTES;
    return this.#open({ case: "login", value: { name, password, knownTicket, ...this.#device } });
  }

  /** With an ID token of an OpenID Connect provider that the platform trusts. */
  loginWithToken(idToken: string): Promise<Login> {
    return this.#open({ case: "token", value: { idToken, ...this.#device } });
  }

  /** The first sync comes along. */
  async #open(given: NonNullable<OpenRequest["with"]>): Promise<Login> {
    const syncs = this.#options.autoSync ?? true;
    const { bytes: snapshot } = this.store.snapshot;
    const { login: reply, sync } = await openSession(
      this.#link,
      given,
      syncs ? snapshot : undefined,
    );
    const login = this.#loggedIn(reply!);
    if (sync !== undefined) await this.#syncs.begin(sync);
    return login;
  }

  /** Logs all other devices out, too; this one goes on. */
  async changePassword(oldPassword: string, newPassword: string): Promise<Login> {
    const request = { oldPassword, newPassword };
    return this.#loggedIn(
      await this.#link.request(Account.changePassword, request, PASSWORD_OPTIONS),
    );
  }

  get #device() {
    const { device, platform = Platform.UNSPECIFIED } = this.#options;
    return { device, platform };
  }

  /** Goes on with an earlier log-in of this device. */
  useLogin(login: Login): void {
    this.store.belongTo(login.userId);
    this.#outbox.restore();
    const isSame = this.#login?.userId === login.userId;
    this.#login = login;
    const nowMs = preciseNow();
    this.#renewAtMs = nowMs + (login.expiresAtMs - nowMs) / 2;
    this.#link.ticketChanged(isSame);
  }

  /** Resolves when connected; the client then stays connected, to whichever campus answers. */
  async connect(timeoutMs: number = CONNECT_TIMEOUT_MS): Promise<void> {
    if (this.#login === undefined)
      throw new RpcError("UNAUTHENTICATED", "log in before connecting");
    this.#link.start();
    await this.#link.whenAttached(timeoutMs);
  }

  /**
   * Resolves when the platform has accepted the message. After 5 s without an answer it rejects with an
   * `UnansweredSend`: the message stays open and goes again by itself, under its id; its outcome is then an
   * update. Calling it again with that id waits for the same message. `message`: its text, or its text and
   * what else it holds.
   */
  async send(
    to: Recipient,
    message: string | { text?: string; content: Content },
    clientMessageId: string = crypto.randomUUID(),
  ): Promise<Sent> {
    const sentAtMs = preciseNow();
    const { text = "", content } =
      typeof message === "string" ? { text: message, content: undefined } : message;
    const outcome = { state: "open" } as const;
    return this.#outbox.send({ clientMessageId, to, text, content, sentAtMs, outcome });
  }

  /** An open message is not sent again; it may have been taken before. false: it is not open. */
  giveUp(clientMessageId: string): boolean {
    return this.#outbox.giveUp(clientMessageId);
  }

  /** Takes a message of the user's own back; in a group, owner and admins take back anybody's. */
  async recall(
    { conversationId, sequence, messageId }: Pick<StoredMessage, RecalledFields>,
    clientMessageId: string = crypto.randomUUID(),
  ): Promise<void> {
    const request = { clientMessageId, conversationId, sequence, messageId };
    await this.#link.request(Text.recall, request, REQUEST_OPTIONS);
  }

  /** Resolves to the id of the user of that name; rejects with NOT_FOUND when there is none. */
  async findUser(name: string): Promise<string> {
    return (await this.#link.request(Account.find, { name }, REQUEST_OPTIONS)).userId;
  }

  /**
   * Resolves when everything that is in the inbox now is in the store, but for what lies behind an own
   * message that is on its way (`awaitsOwn`): that comes by itself, a moment later.
   */
  sync(): Promise<void> {
    return this.#syncs.sync();
  }

  /**
   * The last sync ended before a message that a device of this user sent, which is accepted and has no number in
   * its conversation yet: what lies behind it in the inbox is not in the store.
   */
  get awaitsOwn(): boolean {
    return this.#waitMs > 0;
  }

  /** Ends the connection and hands the store's last writes to the disk; open requests fail. */
  async close(): Promise<void> {
    this.#outbox.close(new RpcError("UNAVAILABLE", "this client was closed"));
    this.#link.close();
    await (this.#ownsStore ? this.store.close() : this.store.flush());
  }

  #loggedIn(reply: LoginReply): Login {
    const { userId, expiresAtMs } = reply;
    const login = { userId, expiresAtMs, ticket: new Uint8Array(reply.ticket) };
    this.useLogin(login);
    return login;
  }

  #attachment() {
    if (this.#login === undefined) return undefined;
    const { ticket } = this.#login;
    return {
      ticket,
      snapshot: this.store.snapshot.bytes,
      wantPush: this.#options.wantPush ?? true,
    };
  }

  #changed(state: LinkState, campus: string): void {
    if (state === "attached") this.#outbox.attached();
    if (state === "attached" && (this.#options.autoSync ?? true)) {
      const expectsHint = this.#options.wantPush ?? true;
      const spreadMs = Math.max(0, REUNION_MS - this.#link.pausedMs);
      if (this.#wasAttached) this.#syncFromMs = performance.now() + Math.random() * spreadMs;
      this.#wasAttached = true;
      this.#syncs.wantAllParts();
      this.#nextSyncMs = performance.now() + (expectsHint ? FIRST_HINT_MS : 0);
    }
    this.#options.onState?.(state, campus);
  }

  #tick(nowMs: number): void {
    if (this.#link.state !== "attached") return;
    if (nowMs >= this.#nextSyncMs) this.#syncSoon({ allParts: true });
    if (preciseNow() >= this.#renewAtMs) this.#renew();
    this.#whereElse.tick(nowMs);
  }

  /** A failure is tried again in a minute. */
  #renew(): void {
    this.#renewAtMs = preciseNow() + RENEW_PAUSE_MS;
    this.#link.request(Account.renew, {}, REQUEST_OPTIONS).then(
      (reply) => this.#loggedIn(reply),
      () => {},
    );
  }

  #syncSoon({ allParts = false } = {}): void {
    if (!(this.#options.autoSync ?? true)) return;
    if (performance.now() < this.#syncFromMs) {
      this.#nextSyncMs = this.#syncFromMs;
      return;
    }
    this.#nextSyncMs = nextFallbackMs(this.#fallbackSyncMs);
    this.#syncs.poke({ allParts });
  }

  #pushed(push: Push): void {
    const { version, messages, settings, snapshot, follows, otherParts } = push;
    const has = this.store.snapshot.version;
    const isApart = messages.some((message) => message.apartBytes > 0);
    if (snapshot.length > 0 && follows === has && !isApart) {
      this.#take({ messages, settings, groups: [] }, { bytes: snapshot, version });
      // A push lost before this one would have shown as a gap.
      this.#nextSyncMs = nextFallbackMs(this.#fallbackSyncMs);
    } else if (snapshot.length === 0 || version > has) this.#syncSoon({ allParts: otherParts });
  }

  /** Bodies that did not come along are fetched first: whoever gets a message gets all of it. */
  async #takePage(page: Page, snapshot: Snapshot): Promise<void> {
    const messages = await fetchBodies(this.#link, page.messages);
    this.#take({ ...page, messages }, snapshot);
    this.#waitMs = page.waits
      ? Math.min(this.#fallbackSyncMs, 2 * this.#waitMs || WAIT_FIRST_MS)
      : 0;
    if (page.waits) this.#nextSyncMs = Math.min(this.#nextSyncMs, performance.now() + this.#waitMs);
  }

  /** Keeps rows with the snapshot after them, and tells the application of the new ones. */
  #take(page: Page, snapshot: Snapshot): void {
    const receivedAtMs = preciseNow();
    const messages = page.messages.map((message) => ({ ...message, receivedAtMs }));
    // A sync's answer may be older than a push that overtook it.
    const isNewer = snapshot.version >= this.store.snapshot.version || page.rebuild !== undefined;
    const fresh = this.store.add({ ...page, messages }, isNewer ? snapshot : undefined);
    this.#tell(fresh.messages);
    const { onUpdate } = this.#options;
    if (onUpdate === undefined) return;
    if (page.rebuild?.startsWith("begins")) onUpdate({ kind: "gap" });
    for (const recalled of fresh.recalled) onUpdate({ kind: "recalled", ...recalled });
    for (const setting of fresh.settings) onUpdate({ kind: "setting", setting });
    for (const group of fresh.groups) onUpdate({ kind: "group", group });
    for (const change of fresh.contacts) onUpdate({ kind: "contacts", change });
    for (const change of fresh.account) onUpdate({ kind: "account", change });
  }

  #tell(messages: readonly StoredMessage[]): void {
    const { onMessage } = this.#options;
    if (onMessage !== undefined) for (const message of messages) onMessage(message);
  }

  /** An own 1:1 message is numbered when it is acknowledged: no need to wait for it in the inbox. */
  #keepOwn(send: SendRecord, reply: SendReply, ackedAtMs: number): void {
    if (reply.sequence === 0) return;
    const { clientMessageId, text, content } = send;
    const about = { clientMessageId, text, content, senderId: this.userId ?? "" };
    const acceptedAtMs = Math.round(ackedAtMs);
    const message = makeInboxMessage({ ...reply, ...about, acceptedAtMs });
    const own = { ...message, receivedAtMs: ackedAtMs };
    this.#tell(this.store.add({ ...NO_ROWS, messages: [own] }, undefined).messages);
  }
}

const NO_ROWS = { messages: [], settings: [], groups: [] };

type RecalledFields = "conversationId" | "sequence" | "messageId";

/** Spread widely: clients that came online together must not sync together for ever. */
function nextFallbackMs(longestMs: number): number {
  return performance.now() + longestMs * (0.5 + Math.random() * 0.5);
}
