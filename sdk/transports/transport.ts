/** How a client's frames travel: one channel at a time, whole frames in order while it is open. */
export interface Channel {
  /** Does nothing when the channel is not open. */
  send(frame: Uint8Array<ArrayBuffer>): void;
  close(): void;
}

export interface ChannelEvents {
  opened(): void;
  received(frame: Uint8Array): void;
  /** It ended, or never opened. Nothing comes after it. */
  closed(): void;
}

/** `url`: of an endpoint, with the scheme http, https, ws or wss. */
export type Transport = (url: string, events: ChannelEvents) => Channel;

/** The same place with another scheme: "wss://host/" is "https://host" to HTTP. */
export function withScheme(url: string, scheme: "http" | "ws"): string {
  return url.replace(/^(?:http|ws)/, scheme).replace(/\/$/, "");
}
