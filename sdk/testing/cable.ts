/**
 * A cable that can be cut: forwards TCP to a port until `cut`, then carries nothing and stays open. With
 * `bytesPerSecond` it carries no more than that from the near end, with `bytesPerSecondDown` to it.
 * `sever` ends everything on it in one moment, as the death of the other side does.
 */
import { connect, createServer, type Socket } from "node:net";
import { rest } from "../../services/svrkit/rest.ts";

export interface Cable {
  readonly port: number;
  cut(): void;
  /** Connections from now on are carried again; those that were cut never are. */
  mend(): void;
  sever(): void;
  close(): void;
}

const SLICES_PER_SECOND = 20;

interface Slow {
  readonly chunk: Buffer;
  /** Bytes a second. */
  readonly rate: number;
}

export async function layCable(
  toPort: number,
  { bytesPerSecond = 0, bytesPerSecondDown = 0 } = {},
): Promise<Cable> {
  const sockets = new Set<Socket>();
  const lost = new Set<Socket>();
  let isCut = false;
  const server = createServer((near) => {
    const isLost = () => isCut || lost.has(near);
    const far = connect(toPort, "127.0.0.1");
    const slowly = async (from: Socket, to: Socket, { chunk, rate }: Slow) => {
      from.pause();
      const sliceBytes = Math.ceil(rate / SLICES_PER_SECOND);
      for (let at = 0; at < chunk.length && !isLost(); at += sliceBytes) {
        await rest(1_000 / SLICES_PER_SECOND);
        if (!isLost()) to.write(chunk.subarray(at, at + sliceBytes));
      }
      from.resume();
    };
    for (const [from, to, rate] of [
      [near, far, bytesPerSecond],
      [far, near, bytesPerSecondDown],
    ] as const) {
      sockets.add(from);
      from.on("data", (chunk) => {
        if (rate > 0) void slowly(from, to, { chunk, rate });
        else if (!isLost()) to.write(chunk);
      });
      from.on("close", () => {
        sockets.delete(from);
        if (!isLost()) to.destroy();
      });
      from.on("error", () => {});
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const end = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  const address = server.address();
  return {
    port: typeof address === "object" && address !== null ? address.port : 0,
    cut: () => {
      isCut = true;
    },
    mend: () => {
      for (const socket of sockets) lost.add(socket);
      isCut = false;
    },
    sever: end,
    close: end,
  };
}
