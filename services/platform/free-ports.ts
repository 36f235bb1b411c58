/** Which of the platform's ports somebody else has, and room for a platform beside others. */
import { createServer } from "node:net";
import type { PlatformConfig } from "./config.ts";
import { planLayout } from "./layout.ts";

/** Below the range from which systems lend ports to outgoing connections (32768 on Linux). */
const LOWEST_PORT = 10_000;
/** Single ports are given below it: who found one may listen on it after others looked for room. */
const LOWEST_BASE = 15_000;
const HIGHEST_BASE = 30_000;
const ATTEMPTS = 50;
/** How long a process that was killed may take to let go of its ports. */
const LETTING_GO_MS = 2_000;

type PortFacts = Pick<PlatformConfig, "campuses" | "basePort" | "ports" | "layout" | "host">;

interface TakenPort {
  readonly port: number;
  /** "a/logic" */
  readonly process: string;
}

/** The first port of the given campuses that cannot be had, now and a little later. */
export async function findTakenPort(
  config: PortFacts,
  campuses: readonly string[],
): Promise<TakenPort | undefined> {
  const giveUp = performance.now() + LETTING_GO_MS;
  for (;;) {
    const taken = await findPortTakenNow(config, campuses);
    if (taken === undefined || performance.now() >= giveUp) return taken;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function findPortTakenNow(
  config: PortFacts,
  campuses: readonly string[],
): Promise<TakenPort | undefined> {
  for (const { name, campus, doors, httpPort, healthPort } of planLayout(config).processes) {
    if (!campuses.includes(campus)) continue;
    const ports = [
      ...doors.flatMap(({ port, grpcPort }) => (grpcPort === undefined ? port : [port, grpcPort])),
      healthPort,
      ...(httpPort === undefined ? [] : [httpPort]),
    ];
    for (const port of ports) {
      if (!(await isFree(config.host, port))) return { port, process: name };
    }
  }
  return undefined;
}

/** A base port above which everything is free now. */
export async function findBasePort(config: Omit<PortFacts, "basePort">): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const span = (HIGHEST_BASE - LOWEST_BASE) / 100;
    const basePort = LOWEST_BASE + 100 * Math.floor(Math.random() * span);
    const taken = await findPortTakenNow({ ...config, basePort }, config.campuses);
    if (taken === undefined) return basePort;
  }
  throw new Error(`no room for a platform between the ports ${LOWEST_BASE} and ${HIGHEST_BASE}`);
}

const given = new Set<number>();

/**
 * A port that is free now, and that no outgoing connection will take before it is used; each is given
 * once a process.
 */
export async function findFreePort(host: string): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const port = LOWEST_PORT + Math.floor(Math.random() * (LOWEST_BASE - LOWEST_PORT));
    if (given.has(port)) continue;
    given.add(port);
    if (await isFree(host, port)) return port;
  }
  throw new Error(`no free port between ${LOWEST_PORT} and ${LOWEST_BASE}`);
}

function isFree(host: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen({ host, port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}
