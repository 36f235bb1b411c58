/** The package's door in Node. */
export * from "./everywhere.ts";
export { FileStore } from "./file-store.ts";
export { framedTcpTransport } from "./transports/framed-tcp.ts";
