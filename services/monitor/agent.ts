/**
 * The monitor agent of a campus: reads the points of all its processes, of those that died too, and
 * reports each minute to the monitoring centre. What the centre has not taken waits, up to an hour; beyond
 * that the oldest minutes go.
 */
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type {
  ReportRequest,
  WriterMinute,
} from "../../protos/gen/tricampus/monitor/v1/centre_codec.ts";
import { decodePoints, type Points } from "../svrkit/monitors/points.ts";
import { POINTS_SUFFIX } from "../svrkit/monitors/points-file.ts";
import { MINUTE_MS, minuteOf } from "./minute.ts";

/** A minute is read when the points of its last second are there for sure. */
const SETTLED_MS = 3_000;
/** Minutes that a points file still holds whole. */
const MINUTES_BACK = 4;
const WAITING_MAX = 60;
/** The file of a process that has written nothing for so long is removed. */
const DEAD_MS = 10 * MINUTE_MS;

export interface AgentParts {
  readonly campus: string;
  /** Where the campus's processes write their points. */
  readonly folder: string;
  /** Rejects when the centre has not taken it. */
  readonly report: (request: ReportRequest) => Promise<unknown>;
  /** Milliseconds since 1970. */
  readonly now: () => number;
  readonly say: (text: string) => void;
}

export class MonitorAgent {
  readonly #parts: AgentParts;
  #timer: NodeJS.Timeout | undefined;
  /** Reports that the centre has not taken yet, oldest first. */
  #waiting: ReportRequest[] = [];
  /** Begin of the next minute to be read; undefined: as many as there are. */
  #nextMs: number | undefined;
  #isFailing = false;
  #looking: Promise<void> | undefined;

  constructor(parts: AgentParts) {
    this.#parts = parts;
  }

  start(): void {
    const now = this.#parts.now();
    const waitMs = MINUTE_MS - ((now - SETTLED_MS) % MINUTE_MS);
    this.#timer = setTimeout(() => {
      void this.look();
      this.start();
    }, waitMs).unref();
  }

  /** Resolves when what was under way is over. */
  async stop(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#looking;
  }

  /**
   * Reads the minutes that are over, and hands on what waits. One at a time, lest two hand on the same minute;
   * what is over meanwhile is for the next.
   */
  look(): Promise<void> {
    this.#looking ??= this.#look().finally(() => {
      this.#looking = undefined;
    });
    return this.#looking;
  }

  async #look(): Promise<void> {
    const { campus, now } = this.#parts;
    const end = Math.floor((now() - SETTLED_MS) / MINUTE_MS) * MINUTE_MS;
    const oldest = end - MINUTES_BACK * MINUTE_MS;
    const written = this.#read();
    for (let at = Math.max(oldest, this.#nextMs ?? oldest); at < end; at += MINUTE_MS) {
      const minutes = written
        .map((points) => minuteOf(points, at))
        .filter((minute): minute is WriterMinute => minute !== undefined);
      if (minutes.length > 0) this.#waiting.push({ campus, minutes });
    }
    this.#nextMs = end;
    this.#waiting = this.#waiting.slice(-WAITING_MAX);
    await this.#handOn();
  }

  async #handOn(): Promise<void> {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      try {
        await this.#parts.report(first);
      } catch (error) {
        const text = `the monitoring centre takes no reports: ${(error as Error).message}`;
        if (!this.#isFailing) this.#parts.say(text);
        this.#isFailing = true;
        return;
      }
      if (this.#isFailing) this.#parts.say("the monitoring centre takes reports again");
      this.#isFailing = false;
      this.#waiting.shift();
    }
  }

  /** The points of every process that has written some lately. */
  #read(): Points[] {
    const { folder, now } = this.#parts;
    return pointsFiles(folder).flatMap((path) => {
      const points = readPoints(path);
      const newestMs = 1_000 * (points?.rows.at(-1)?.second ?? 0);
      if (points !== undefined && now() - Math.max(newestMs, points.header.startedAtMs) > DEAD_MS)
        remove(path);
      return points ?? [];
    });
  }
}

function pointsFiles(folder: string): string[] {
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith(POINTS_SUFFIX));
    return names.sort().map((name) => join(folder, name));
  } catch {
    return []; // nobody has written any yet
  }
}

/** undefined: it is no points file, or has just gone. */
function readPoints(path: string): Points | undefined {
  try {
    return decodePoints(readFileSync(path));
  } catch {
    return undefined;
  }
}

/** A disk that takes no writes keeps the file until it does: the agent's process must not end by it. */
function remove(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Tried again with the next minute.
  }
}
