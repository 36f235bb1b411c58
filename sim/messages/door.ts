/**
 * Clients' way in on the simulated network: the framed protocol of TCP between the real connection of
 * access and the real client, with a simulated wire in the place of the socket.
 */

import { encodeServerFrame } from "../../protos/gen/tricampus/client/v1/frame_codec.ts";
import type { Transport } from "../../sdk/transports/transport.ts";
import type { Carrier } from "../../services/access/carrier.ts";
import type { Connections } from "../../services/access/connections.ts";
import { FRAME_BYTES_MAX } from "../../services/access/limits.ts";
import { NO_BYTES, toBytes } from "../../services/svrkit/codec.ts";
import {
  LengthPrefixedReader,
  lengthPrefixed,
} from "../../services/svrkit/transport/length-prefixed.ts";
import type { Wire } from "../../services/svrkit/transport/wire.ts";
import type { Process } from "../clock.ts";
import type { Network } from "../network.ts";

const DIAL_MS = 1_000;

class WireCarrier implements Carrier {
  readonly #wire: Wire;
  isOpen = true;

  constructor(wire: Wire) {
    this.#wire = wire;
  }

  get bufferedBytes(): number {
    return this.#wire.bufferedBytes();
  }

  send(frame: Buffer): void {
    if (this.isOpen) this.#wire.write(Buffer.from(lengthPrefixed(frame)));
  }

  ping(): void {
    if (this.isOpen) this.#wire.write(Buffer.from(lengthPrefixed(NO_BYTES)));
  }

  close(_: number, reason: string): void {
    this.send(toBytes(encodeServerFrame, { id: 0, kind: { case: "leave", value: { reason } } }));
    this.terminate();
  }

  terminate(): void {
    this.isOpen = false;
    this.#wire.close();
  }
}

/** What takes a client's wire in. */
export function acceptOn(connections: Connections): (wire: Wire) => void {
  return (wire) => {
    if (!connections.hasRoom(wire.remote)) {
      wire.close();
      return;
    }
    const carrier = new WireCarrier(wire);
    const connection = connections.add(carrier, wire.remote);
    const reader = new LengthPrefixedReader(FRAME_BYTES_MAX);
    wire.bind({
      data(chunk) {
        for (const frame of reader.push(chunk) ?? []) {
          if (frame.length === 0) connection.heard();
          else connection.received(Buffer.from(frame));
        }
      },
      closed() {
        carrier.isOpen = false;
        connection.ended();
      },
    });
  };
}

/** A device's transport: "sim://<node>" is the access door on that node. */
export function transportFrom(
  from: { node: number; process: Process },
  network: Network,
): Transport {
  return (url, events) => {
    const to = Number(new URL(url).hostname);
    let wire: Wire | undefined;
    let isClosed = false;
    const reader = new LengthPrefixedReader(FRAME_BYTES_MAX);
    network.dial(from, to, DIAL_MS).then(
      (dialled) => {
        if (isClosed) {
          dialled.close();
          return;
        }
        wire = dialled;
        wire.bind({
          data(chunk) {
            for (const frame of reader.push(chunk) ?? []) {
              if (frame.length === 0) wire?.write(Buffer.from(lengthPrefixed(NO_BYTES)));
              else events.received(frame);
            }
          },
          closed: () => events.closed(),
        });
        events.opened();
      },
      () => {
        if (!isClosed) events.closed();
      },
    );
    return {
      send: (frame) => wire?.write(Buffer.from(lengthPrefixed(frame))),
      close: () => {
        isClosed = true;
        wire?.close();
      },
    };
  };
}
