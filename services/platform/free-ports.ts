/** Which of the platform's ports somebody else has, and room for a platform beside others. */
import { readFileSync } from "node:fs";
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
  for (const { port, process } of portsOf(config, campuses)) {
    if (!(await isFree(config.host, port))) return { port, process };
  }
  return undefined;
}

function* portsOf(config: PortFacts, campuses: readonly string[]): Generator<TakenPort> {
  for (const { name: process, campus, doors, ...own } of planLayout(config).processes) {
    if (!campuses.includes(campus)) continue;
    const inDoors = doors.flatMap(({ port, grpcPort }) => [port, grpcPort]);
    for (const port of [...inDoors, own.healthPort, own.httpPort])
      if (port !== undefined) yield { port, process };
  }
}

/** Ports that a system lends to outgoing connections: the first and the last. */
type LentPorts = readonly [number, number];

/**
 * What the system lends, when some of the platform's ports are among it: any program's connection may have one just
 * when the process that was killed starts again and needs it. undefined also where the system does not tell.
 */
export function lentAmong(config: PortFacts, lent = lentPorts()): LentPorts | undefined {
  if (lent === undefined) return undefined;
  const [first, last] = lent;
  const isLent = ({ port }: TakenPort) => port >= first && port <= last;
  return [...portsOf(config, config.campuses)].some(isLent) ? lent : undefined;
}

function lentPorts(): LentPorts | undefined {
  try {
    const range = readFileSync("/proc/sys/net/ipv4/ip_local_port_range", "utf8");
    const [first, last] = range.trim().split(/\s+/).map(Number);
    return [first!, last!];
  } catch {
    return undefined;
  }
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
/** Processes that look for ports at the same time look at different ones, mostly: each at one of so many. */
const STRIPES = 8;

/**
 * A port that is free now, and that no outgoing connection will take before it is used; each is given
 * once a process.
 */
export async function findFreePort(host: string): Promise<number> {
  for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
    const place = Math.floor((Math.random() * (LOWEST_BASE - LOWEST_PORT)) / STRIPES);
    const port = LOWEST_PORT + place * STRIPES + (process.pid % STRIPES);
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
