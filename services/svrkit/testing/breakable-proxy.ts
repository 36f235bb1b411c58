/** A TCP proxy whose open connections can be made half-open: both ends believe in them, nothing passes. */
import { connect, createServer, type Server, type Socket } from "node:net";

export class BreakableProxy {
  readonly #server: Server;
  /** Both sockets of each connection that still passes bytes on. */
  readonly #passing = new Set<readonly [Socket, Socket]>();
  readonly #all = new Set<Socket>();

  private constructor(target: number) {
    this.#server = createServer((near) => this.#join(near, target));
  }

  static async open(target: number): Promise<BreakableProxy> {
    const proxy = new BreakableProxy(target);
    await new Promise<void>((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  get port(): number {
    const address = this.#server.address();
    return typeof address === "object" && address !== null ? address.port : 0;
  }

  /** From now on nothing passes on the connections that are open; new ones are as before. */
  breakOpenOnes(): void {
    for (const pair of this.#passing)
      for (const socket of pair) {
        socket.removeAllListeners("data");
        socket.pause();
      }
    this.#passing.clear();
  }

  close(): void {
    this.#server.close();
    for (const socket of this.#all) socket.destroy();
  }

  #join(near: Socket, target: number): void {
    const far = connect({ host: "127.0.0.1", port: target });
    const pair = [near, far] as const;
    this.#passing.add(pair);
    for (const [from, to] of [pair, [far, near] as const]) {
      this.#all.add(from);
      from.on("data", (chunk) => to.write(chunk));
      from.on("error", () => {});
      from.on("close", () => {
        this.#all.delete(from);
        if (this.#passing.delete(pair)) to.destroy();
      });
    }
  }
}
