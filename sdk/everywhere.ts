/** What the package offers in browsers and in Node. */
export { Platform } from "../protos/gen/tricampus/client/v1/account_codec.ts";
export { type Content, makeContent } from "../protos/gen/tricampus/client/v1/content_codec.ts";
export { NoticeKind } from "../protos/gen/tricampus/client/v1/sync_codec.ts";
export { type Code, RpcError } from "../services/svrkit/errors.ts";
export {
  type ClientOptions,
  type Login,
  TricampusClient,
  type Update,
} from "./client.ts";
export type { ConversationSummary } from "./conversation.ts";
export type { Endpoint } from "./endpoints.ts";
export { IndexedDbStore } from "./indexed-db-store.ts";
export type { LinkState } from "./link.ts";
export { type Sent, UnansweredSend } from "./outbox.ts";
export {
  type DeviceStore,
  MemoryStore,
  type Recipient,
  type SendRecord,
  type StoredMessage,
} from "./store.ts";
export { longPollTransport } from "./transports/long-poll.ts";
export type { Transport } from "./transports/transport.ts";
export { webSocketTransport } from "./transports/web-socket.ts";
