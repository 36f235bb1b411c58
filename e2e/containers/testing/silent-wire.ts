/** A TCP connection to a server that falls silent after so many bytes of its answers, and stays open. */
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

export class SilentWire {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #bytesLeft = Number.POSITIVE_INFINITY;

  private constructor(port: number) {
    this.#server = createServer((near) => {
      const far = connect(port, "127.0.0.1");
      for (const socket of [near, far]) {
        this.#sockets.add(socket);
        socket.on("error", () => {}); // it ends, and so does the other
        socket.on("close", () => {
          near.destroy();
          far.destroy();
          this.#sockets.delete(socket);
        });
      }
      near.pipe(far);
      far.on("data", (bytes) => {
        near.write(bytes.subarray(0, Math.max(0, this.#bytesLeft)));
        this.#bytesLeft -= bytes.length;
      });
    });
  }

  static async to(port: number): Promise<SilentWire> {
    const wire = new SilentWire(port);
    await new Promise<void>((done) => wire.#server.listen(0, "127.0.0.1", done));
    return wire;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  silenceAfter(bytes: number): void {
    this.#bytesLeft = bytes;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}
