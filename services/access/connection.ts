/**
 * One long connection: frames in, requests forwarded, answers and pushes out.
 *
 * States: waiting (only Register and Login are answered) -> attached (bound to one user and device)
 * -> closed. A frame that is wrong is answered with a Failure and the connection goes on: carriers bring
 * frames whole or not at all, so the stream stays in step.
 */
import {
  type Attach,
  type ClientFrame,
  decodeClientFrame,
  encodeServerFrame,
  makePush,
  type Request,
  type ServerFrame,
} from "../../protos/gen/tricampus/client/v1/frame_codec.ts";
import type { SnapshotPayload } from "../../protos/gen/tricampus/client/v1/ticket_codec.ts";
import { NEVER_SHED } from "../svrkit/admission/priority.ts";
import { CodecError, fromBytes, NO_BYTES, toBytes } from "../svrkit/codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { wasStopped } from "../svrkit/stall.ts";
import type { SnapshotSealer } from "../svrkit/ticket/snapshot.ts";
import type { TicketVerifier, VerifiedTicket } from "../svrkit/ticket/verify.ts";
import { border } from "../svrkit/transport/border.ts";
import type { Carrier } from "./carrier.ts";
import { DeviceView, type Offer, type PushAction } from "./device-view.ts";
import type { Forgeries } from "./forgeries.ts";
import type { Forwarder } from "./forwarder.ts";
import {
  BAD_FRAMES_MAX,
  BAD_TICKET_FRAMES,
  BUFFERED_BYTES_MAX,
  PART_BYTES,
  REQUESTS_IN_FLIGHT_MAX,
  ROWS_BUFFERED_BYTES_MAX,
  SIGN_EVERY_MS,
} from "./limits.ts";
import { SYNC_HASH } from "./methods.ts";
import { encodePushFrame, peekSnapshot, requestIdOf } from "./partial-codec.ts";

/** What connections share. */
export interface ConnectionParts {
  readonly forwarder: Forwarder;
  readonly tickets: TicketVerifier;
  readonly forgeries: Forgeries;
  readonly snapshots: SnapshotSealer;
  /** A device attaches for the first time; throws RESOURCE_EXHAUSTED when its user has too many. */
  bind(connection: ClientConnection, userId: string): void;
  /** The connection wants pushes: it is to be registered, and `online` called when it is. */
  attached(connection: ClientConnection): void;
  /** The connection has pushes that wait for time to pass. */
  waiting(connection: ClientConnection): void;
  closed(connection: ClientConnection): void;
  /** Monotonic milliseconds. */
  now(): number;
}

export interface Visitor {
  readonly carrier: Carrier;
  /** Its address, as client-address.ts has it. */
  readonly from: string;
}

interface Attachment {
  readonly who: VerifiedTicket;
  readonly ticket: Uint8Array;
  versions: SnapshotPayload;
  readonly view: DeviceView<Uint8Array>;
  readonly wantPush: boolean;
}

export class ClientConnection {
  readonly number: number;
  readonly openedAtMs: number;
  readonly #carrier: Carrier;
  readonly #from: string;
  readonly #parts: ConnectionParts;
  #attachment: Attachment | undefined;
  #inFlight = 0;
  #isOver = false;
  /** Why it ends, as soon as its open requests are answered. */
  #ending: string | undefined;
  #badFrames = 0;
  #takesParts = false;
  /** When the first part of a frame came that is not whole yet, or its sender was told of it. */
  #partSinceMs: number | undefined;
  lastHeardMs: number;
  /** Pings sent since the client was last heard. */
  pingsUnanswered = 0;

  constructor(number: number, { carrier, from }: Visitor, parts: ConnectionParts) {
    this.number = number;
    this.#carrier = carrier;
    this.#from = from;
    this.#parts = parts;
    this.openedAtMs = parts.now();
    this.lastHeardMs = this.openedAtMs;
  }

  /** A frame came; undefined: something that is none. */
  received(frame: Buffer | undefined): void {
    // What is still in the buffers of an ended connection was given up by who sent it.
    if (wasStopped()) this.terminate();
    if (this.#isOver) return;
    this.heard();
    this.#receive(frame);
  }

  /**
   * A part of a frame came. On a slow network the rest takes longer than clients bear silence, and what they ask
   * meanwhile is behind it: they are told that something comes. They cannot see it themselves, for what has
   * left a client's buffer may lie in its kernel's, megabytes of it, for as long.
   */
  receiving(): void {
    if (this.#isOver) return;
    const sinceMs = this.#partSinceMs;
    this.heard();
    this.#partSinceMs = sinceMs ?? this.lastHeardMs;
    if (this.lastHeardMs - this.#partSinceMs < SIGN_EVERY_MS) return;
    this.#partSinceMs = this.lastHeardMs;
    this.#write({ id: 0, kind: { case: "pong", value: {} } });
  }

  /** The client is there. */
  heard(): void {
    this.lastHeardMs = this.#parts.now();
    this.pingsUnanswered = 0;
    this.#partSinceMs = undefined;
  }

  /** The carrier is no more. */
  ended(): void {
    this.#isOver = true;
    this.#parts.closed(this);
  }

  /** Who is attached; undefined before Attach. */
  get who(): VerifiedTicket | undefined {
    return this.#attachment?.who;
  }

  get wantsPush(): boolean {
    return this.#attachment?.wantPush ?? false;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  get bufferedBytes(): number {
    return this.#carrier.bufferedBytes;
  }

  ping(): void {
    this.pingsUnanswered += 1;
    this.#carrier.ping();
  }

  /** Asks the client to go elsewhere. */
  leave(reason: string): void {
    this.#write({ id: 0, kind: { case: "leave", value: { reason } } });
  }

  close(code: number, reason: string): void {
    this.#carrier.close(code, reason);
  }

  terminate(): void {
    this.#isOver = true;
    this.#carrier.terminate();
  }

  /** The routers know this connection: from now on nothing is missed, so the device is to sync once. */
  online(): void {
    const [hint] = this.#attachment?.view.hint() ?? [];
    const push = makePush({ version: hint?.version ?? 0, otherParts: true });
    this.#write({ id: 0, kind: { case: "push", value: push } });
  }

  offer(offer: Offer<Uint8Array>): void {
    const attachment = this.#attachment;
    if (!attachment?.wantPush) return;
    const slow = this.bufferedBytes > ROWS_BUFFERED_BYTES_MAX;
    const offered = slow ? { ...offer, rows: undefined } : offer;
    this.#perform(attachment, attachment.view.offer(offered, this.#parts.now()));
  }

  /** Ends the connection unless its ticket is good still. */
  requireGoodTicket(): void {
    if (this.#attachment === undefined) return;
    try {
      this.#parts.tickets.verify(this.#attachment.ticket);
    } catch {
      this.#end("logged out");
    }
  }

  /** Ends the connection when its ticket has expired. `nowMs`: since 1970. */
  requireTicketAt(nowMs: number): void {
    const who = this.#attachment?.who;
    if (who !== undefined && who.expiresAtMs <= nowMs) this.#end("the ticket has expired");
  }

  /** Its own open request may be what ended its ticket, and is answered: that takes no longer than requests do. */
  #end(reason: string): void {
    this.#ending = reason;
    if (this.#inFlight > 0) return;
    this.leave(reason);
    this.close(1008, reason);
  }

  /** Account or contacts have something newer. */
  hintOtherParts(): void {
    const push = makePush({ otherParts: true });
    if (this.wantsPush && this.#ending === undefined)
      this.#write({ id: 0, kind: { case: "push", value: push } });
  }

  /** Looks at what waits; true while something still does. */
  due(): boolean {
    const attachment = this.#attachment;
    if (attachment === undefined) return false;
    this.#perform(attachment, attachment.view.due(this.#parts.now()));
    return attachment.view.isWaiting;
  }

  #receive(bytes: Buffer | undefined): void {
    let id = 0;
    try {
      if (bytes === undefined) throw new CodecError("a text message; frames are binary");
      id = requestIdOf(bytes);
      this.#take(fromBytes(decodeClientFrame, bytes));
    } catch (error) {
      if (error instanceof RpcError) this.#fail(id, error);
      else if (error instanceof CodecError) this.#badFrame(id, error);
      else throw error;
      if (this.#badFrames >= BAD_FRAMES_MAX) this.close(1002, "too many frames were no good");
    }
  }

  #badFrame(id: number, error: CodecError): void {
    this.#fail(id, new RpcError("INVALID_ARGUMENT", `the frame cannot be read: ${error.message}`));
    this.#badFrames += 1;
  }

  #take(frame: ClientFrame): void {
    if (frame.id === 0) throw new RpcError("INVALID_ARGUMENT", "a frame's id is not 0");
    this.#takesParts ||= frame.takesParts;
    switch (frame.kind?.case) {
      case "request":
        this.#request(frame.id, frame.kind.value);
        return;
      case "ping":
        this.#write({ id: frame.id, kind: { case: "pong", value: {} } });
        return;
      case "attach":
        this.#attach(frame.id, frame.kind.value);
        return;
      default:
        throw new RpcError("INVALID_ARGUMENT", "the frame is none of attach, request and ping");
    }
  }

  #attach(id: number, attach: Attach): void {
    // Never shed, and counted: after a campus fell it is most of what this process does.
    this.#parts.forwarder.letIn(NEVER_SHED);
    const ticket = Buffer.from(attach.ticket);
    const who = this.#verified(ticket);
    const before = this.#attachment;
    if (
      before !== undefined &&
      (before.who.userId !== who.userId || before.who.device !== who.device)
    ) {
      throw new RpcError(
        "FAILED_PRECONDITION",
        "this connection is another device's: open one of your own",
      );
    }
    const versions = before?.versions ?? this.#open(who, attach.snapshot);
    const view = before?.view ?? new DeviceView<Uint8Array>(versions.messagesVersion);
    if (before === undefined) this.#parts.bind(this, who.userId);
    const wantPush = attach.wantPush || (before?.wantPush ?? false);
    const wasEnding = this.#ending !== undefined;
    this.#attachment = { who, ticket, versions, view, wantPush };
    this.#ending = undefined;
    this.#write({
      id,
      kind: { case: "attached", value: { userId: who.userId, device: who.device } },
    });
    if (wantPush && !before?.wantPush) this.#parts.attached(this);
    else if (wantPush && wasEnding) this.#resume(view);
  }

  /** While it was ending nothing was pushed, but the view went on. */
  #resume(view: DeviceView<Uint8Array>): void {
    view.hintLost();
    this.online();
  }

  #verified(ticket: Uint8Array): VerifiedTicket {
    const { tickets, forgeries } = this.#parts;
    try {
      return tickets.verify(ticket, forgeries.limitOf(this.#from));
    } catch (error) {
      // That this process cannot tell, or looks at no more of them now, may not be the client's fault.
      if (RpcError.from(error).code === "UNAUTHENTICATED") this.#badFrames += BAD_TICKET_FRAMES;
      throw error;
    }
  }

  /** A snapshot that is not the device's counts as none here; its first sync is refused with the reason. */
  #open(who: VerifiedTicket, snapshot: Uint8Array): SnapshotPayload {
    try {
      return this.#parts.snapshots.open(who, snapshot);
    } catch {
      return this.#parts.snapshots.open(who, NO_BYTES);
    }
  }

  #request(id: number, request: Request): void {
    const ticket = this.#attachment?.ticket ?? NO_BYTES;
    const method = this.#parts.forwarder.admit(request.method, ticket);
    if (this.#inFlight >= REQUESTS_IN_FLIGHT_MAX) {
      throw new RpcError(
        "RESOURCE_EXHAUSTED",
        `${REQUESTS_IN_FLIGHT_MAX} requests are open on this connection`,
      );
    }
    this.#inFlight += 1;
    const view = method.hash === SYNC_HASH ? this.#attachment?.view : undefined;
    view?.syncStarted();
    this.#parts.forwarder
      .forward(method, {
        ...{ ticket, body: request.body },
        ...{ isForced: request.trace, isLate: request.late },
      })
      .then(
        (body) => {
          this.#write({ id, kind: { case: "body", value: body } });
          if (view !== undefined) this.#synced(view, body);
        },
        (error: unknown) => {
          this.#fail(id, RpcError.from(error));
          if (view !== undefined) this.#settle(view.syncEnded(undefined, this.#parts.now()));
        },
      )
      .finally(() => {
        this.#inFlight -= 1;
        if (this.#ending !== undefined) this.#end(this.#ending);
      });
  }

  /** The answer of a sync passed through: the device now has what it says. */
  #synced(view: DeviceView<Uint8Array>, body: Uint8Array): void {
    const attachment = this.#attachment!;
    let version: number | undefined;
    try {
      attachment.versions = this.#parts.snapshots.open(attachment.who, peekSnapshot(body));
      version = attachment.versions.messagesVersion;
    } catch {
      version = undefined; // then the device gets hints
    }
    this.#settle(view.syncEnded(version, this.#parts.now()));
  }

  #settle(actions: readonly PushAction<Uint8Array>[]): void {
    if (this.#attachment !== undefined) this.#perform(this.#attachment, actions);
  }

  #perform(attachment: Attachment, actions: readonly PushAction<Uint8Array>[]): void {
    for (const action of actions) this.#push(attachment, action);
    if (attachment.view.isWaiting) this.#parts.waiting(this);
  }

  #push(attachment: Attachment, action: PushAction<Uint8Array>): void {
    if (this.#ending !== undefined) return;
    if (action.kind === "hint") {
      const value = makePush({ version: action.version });
      this.#write({ id: 0, kind: { case: "push", value } });
      return;
    }
    const versions = { ...attachment.versions, messagesVersion: action.version };
    const snapshot = this.#parts.snapshots.seal(attachment.who, versions);
    this.#send(encodePushFrame({ ...action, snapshot }));
  }

  #fail(id: number, error: RpcError): void {
    const { code, message, retryable } = error;
    this.#write({ id, kind: { case: "failure", value: { code, message, retryable } } });
  }

  #write(frame: ServerFrame): void {
    this.#send(toBytes(encodeServerFrame, frame));
  }

  #send(bytes: Buffer): void {
    if (!this.#carrier.isOpen) return;
    // A client that does not read is let go; while the campus is cut off nobody can read.
    if (this.bufferedBytes > BUFFERED_BYTES_MAX) {
      if (!border.isCut) this.terminate();
      return;
    }
    if (this.#takesParts && bytes.length > PART_BYTES) this.#sendInParts(bytes);
    else this.#carrier.send(bytes);
  }

  #sendInParts(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += PART_BYTES) {
      const part = bytes.subarray(at, at + PART_BYTES);
      const value = { bytes: part, last: at + PART_BYTES >= bytes.length };
      this.#carrier.send(toBytes(encodeServerFrame, { id: 0, kind: { case: "part", value } }));
    }
  }
}
