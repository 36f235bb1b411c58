/** A logger whose lines a test can read. */
import { pino } from "pino";
import type { Logger } from "../log.ts";

export function keptLog(): { log: Logger; lines: Record<string, unknown>[] } {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string) => void lines.push(JSON.parse(line));
  return { log: pino({ level: "debug" }, { write }), lines };
}
