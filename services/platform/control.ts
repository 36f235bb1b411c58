/**
 * The door of a campus supervisor: one JSON line in, one JSON line out, over a Unix socket that only
 * its owner can open. Holding the socket is also what makes a supervisor the only one of its campus.
 */
import { chmodSync, unlinkSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { CampusState } from "./supervisor.ts";

const COMMANDS = ["status", "cut", "join", "reload", "stop"] as const;
export type Command = (typeof COMMANDS)[number];

type Answer =
  | { readonly ok: true; readonly state: CampusState }
  | { readonly ok: false; readonly message: string };

const LINE_BYTES_MAX = 1_024;
const ANSWER_BYTES_MAX = 1024 * 1024;

/** Resolves to the open door, or to undefined when another supervisor lives behind it. */
export async function openControl(
  path: string,
  carryOut: (command: Command) => Promise<CampusState>,
): Promise<Server | undefined> {
  const server = createServer((socket) => serve(socket, carryOut));
  if (!(await tryListen(server, path))) {
    if (await isAnswering(path)) return undefined;
    unlinkSync(path); // left behind by a supervisor that was killed
    if (!(await tryListen(server, path))) return undefined;
  }
  chmodSync(path, 0o600);
  return server;
}

/** Asks a campus's supervisor; rejects when there is none, or no answer in time. */
export function askCampus(path: string, command: Command, timeoutMs: number): Promise<CampusState> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    let text = "";
    socket.setTimeout(timeoutMs, () => {
      socket.destroy(new Error(`no answer to "${command}" within ${timeoutMs} ms`));
    });
    socket.on("connect", () => socket.write(`${JSON.stringify({ command })}\n`));
    socket.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.length > ANSWER_BYTES_MAX) socket.destroy(new Error("the answer has no end"));
    });
    socket.on("error", reject);
    socket.on("close", () => {
      try {
        const answer = JSON.parse(text) as Answer;
        if (answer.ok) resolve(answer.state);
        else reject(new Error(answer.message));
      } catch (error) {
        reject(error);
      }
    });
  });
}

function serve(socket: Socket, carryOut: (command: Command) => Promise<CampusState>): void {
  let text = "";
  const answer = (value: Answer) => socket.end(`${JSON.stringify(value)}\n`);
  const refuse = (error: unknown) =>
    answer({ ok: false, message: error instanceof Error ? error.message : String(error) });
  const read = (chunk: string) => {
    text += chunk;
    if (text.length > LINE_BYTES_MAX) socket.destroy();
    if (!text.includes("\n") || socket.destroyed) return;
    socket.off("data", read);
    try {
      const { command } = JSON.parse(text) as { command: Command };
      if (!COMMANDS.includes(command)) throw new Error(`"${command}" is none of ${COMMANDS}`);
      carryOut(command).then((state) => answer({ ok: true, state }), refuse);
    } catch (error) {
      refuse(error);
    }
  };
  socket.on("error", () => socket.destroy());
  socket.setEncoding("utf8").on("data", read);
}

function tryListen(server: Server, path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException) => {
      if (error.code === "EADDRINUSE") resolve(false);
      else reject(error);
    };
    server.once("error", failed);
    server.listen(path, () => {
      server.off("error", failed);
      resolve(true);
    });
  });
}

function isAnswering(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
