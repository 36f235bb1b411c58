/** Frames over a WebSocket: the default, in browsers and in Node. */
import { type Channel, type ChannelEvents, withScheme } from "./transport.ts";

export function webSocketTransport(url: string, events: ChannelEvents): Channel {
  const socket = new WebSocket(`${withScheme(url, "ws")}/v1/connect`);
  socket.binaryType = "arraybuffer";
  socket.onopen = () => events.opened();
  socket.onclose = () => events.closed();
  socket.onerror = () => events.closed();
  socket.onmessage = (event) => events.received(new Uint8Array(event.data as ArrayBuffer));
  return {
    send: (frame) => {
      if (socket.readyState === WebSocket.OPEN) socket.send(frame);
    },
    close: () => socket.close(),
  };
}
