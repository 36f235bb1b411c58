/** Structured logs: JSON lines on stderr, one logger a process, no transports. */
import { type Logger as PinoLogger, pino } from "pino";

export type Logger = PinoLogger;

export function createLogger(options: { process: string; level: string }): Logger {
  return pino(
    {
      level: options.level,
      base: { process: options.process, pid: process.pid },
      // Tickets and passwords never reach a log, wherever they sit in what is logged.
      redact: { paths: ["ticket", "*.ticket", "password", "*.password"], censor: "[removed]" },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** A logger that says nothing, for tests. */
export function silentLogger(): Logger {
  return pino({ level: "silent" });
}
