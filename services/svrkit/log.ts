/** Structured logs: JSON lines on stderr, one logger a process, no transports. */
import { type Logger as PinoLogger, pino } from "pino";

export type Logger = PinoLogger;

/** Tickets, tokens and passwords never reach a log: of a line, and of objects in it to the second level. */
const NAMES = ["ticket", "knownTicket", "password", "oldPassword", "newPassword", "idToken"];
const SECRETS = NAMES.flatMap((name) => [name, `*.${name}`, `*.*.${name}`]);

export function createLogger(options: { process: string; level: string }): Logger {
  return pino(
    {
      level: options.level,
      base: { process: options.process, pid: process.pid },
      redact: { paths: SECRETS, censor: "[removed]" },
      timestamp: pino.stdTimeFunctions.isoTime,
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** A logger that says nothing, for tests. */
export function silentLogger(): Logger {
  return pino({ level: "silent" });
}
