/** What a person writes behind `tricampus campus block`, checked. */
import { isService, NOT_ROUTED, SERVICES } from "../services/platform/services.ts";
import { parseTime } from "./duration.ts";
import { EXIT, Failure } from "./failure.ts";

export interface Target {
  readonly campus: string;
  /** Empty: the whole campus. */
  readonly service: string;
}

const BLOCK_HOURS_MAX = 24;
const HOUR_MS = 3_600_000;
const WORDS_MAX = 200;

/** "b" or "b/text". */
export function parseTarget(text: string, campuses: readonly string[]): Target {
  const [campus = "", service, ...more] = text.split("/");
  if (!campuses.includes(campus) || more.length > 0) {
    const there = campuses.join(", ");
    throw wrong(
      `there is no campus "${text}": there are ${there}; a service of one is like b/text`,
    );
  }
  if (service === undefined) return { campus, service: "" };
  if (!isService(service))
    throw wrong(`there is no service "${service}": there are ${SERVICES.join(", ")}`);
  const instead = NOT_ROUTED[service];
  if (instead !== undefined) throw wrong(`${service} cannot be blocked by itself: ${instead}`);
  return { campus, service };
}

/** How long a block lasts, in milliseconds: it always ends. */
export function parseDuration(text: string | undefined, hoursMax = BLOCK_HOURS_MAX): number {
  return parseTime("--for", text, hoursMax * HOUR_MS);
}

/** One line of words that others will read. */
export function parseWords(option: string, text: string | undefined): string {
  const words = text?.trim() ?? "";
  if (words.length > 0 && words.length <= WORDS_MAX && !/\p{C}/u.test(words)) return words;
  throw wrong(
    `${option}${text === undefined ? " is missing" : ""}: say it in 1-${WORDS_MAX} characters on one line`,
  );
}

function wrong(message: string): Failure {
  return new Failure(EXIT.usage, message);
}
