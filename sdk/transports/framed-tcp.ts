/** Frames over a TCP connection (services/access/framed-tcp.ts), with TLS for https: for Node. */
import { connect, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { NO_BYTES } from "../../services/svrkit/codec.ts";
import {
  LengthPrefixedReader,
  lengthPrefixed,
} from "../../services/svrkit/transport/length-prefixed.ts";
import type { Channel, ChannelEvents, Transport } from "./transport.ts";

const FRAME_BYTES_MAX = 1024 * 1024;
/** The last byte is the version. */
const PREAMBLE = Uint8Array.of(0, 0x54, 0x43, 1);

/** `tls`: for https, as for Node's tls.connect: {ca} for an authority of one's own. */
export function framedTcpTransport(tls: ConnectionOptions = {}): Transport {
  return (url, events) => {
    const { protocol, hostname, port } = new URL(url);
    const isSecure = protocol === "https:" || protocol === "wss:";
    const host = hostname.replace(/^\[(.*)\]$/, "$1");
    const to = { host, port: Number(port || (isSecure ? 443 : 80)) };
    const socket = isSecure ? connectTls({ servername: host, ...tls, ...to }) : connect(to);
    return attend(socket, isSecure ? "secureConnect" : "connect", events);
  };
}

function attend(socket: Socket, opened: string, events: ChannelEvents): Channel {
  const reader = new LengthPrefixedReader(FRAME_BYTES_MAX);
  socket.setNoDelay(true);
  socket.once(opened, () => {
    socket.write(PREAMBLE);
    events.opened();
  });
  socket.on("data", (chunk: Buffer) => {
    const frames = reader.push(chunk);
    if (frames === undefined) socket.destroy();
    for (const frame of frames ?? []) {
      if (frame.length === 0) socket.write(lengthPrefixed(NO_BYTES));
      else events.received(frame);
    }
  });
  socket.on("error", () => {});
  socket.on("close", () => events.closed());
  return {
    send: (frame) => {
      if (socket.writable) socket.write(lengthPrefixed(frame));
    },
    close: () => socket.destroy(),
  };
}
