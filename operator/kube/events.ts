/**
 * Events: what people see in `kubectl describe`. The same one again within a while raises a count
 * instead of making another object; none is waited for, and one that cannot be written is lost.
 */
import { hash } from "node:crypto";
import { ApiError, type Requests } from "./api-client.ts";

export interface Regarding {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
}

export interface EventFacts {
  readonly type: "Normal" | "Warning";
  /** In one word. */
  readonly reason: string;
  /** What was done or found, in one word. */
  readonly action: string;
  readonly note: string;
}

const SAME_FOR_MS = 10 * 60_000;
const KNOWN_MAX = 2_000;
const NOTE_MAX = 1_000;

export class Events {
  readonly #client: Requests;
  readonly #instance: string;
  readonly #onTrouble: (error: Error) => void;
  readonly #known = new Map<string, { path: string; count: number; atMs: number }>();

  /** `instance`: the pod's name. */
  constructor(client: Requests, instance: string, onTrouble: (error: Error) => void) {
    this.#client = client;
    this.#instance = instance;
    this.#onTrouble = onTrouble;
  }

  tell(regarding: Regarding, facts: EventFacts): void {
    this.#write(regarding, facts).catch((error: Error) => this.#onTrouble(error));
  }

  async #write(regarding: Regarding, facts: EventFacts): Promise<void> {
    const key = hash("sha1", JSON.stringify([regarding.uid, facts]), "hex").slice(0, 16);
    const known = this.#known.get(key);
    if (known !== undefined && performance.now() - known.atMs < SAME_FOR_MS) {
      known.count += 1;
      known.atMs = performance.now();
      const series = { count: known.count, lastObservedTime: microTime() };
      const contentType = "application/merge-patch+json";
      const patch = { method: "PATCH", path: known.path, contentType, body: { series } } as const;
      try {
        await this.#client.carryOut(patch);
        return;
      } catch (error) {
        if (!(error instanceof ApiError && error.isNotFound)) throw error;
      }
    }
    const { namespace, name } = regarding;
    const folder = `/apis/events.k8s.io/v1/namespaces/${namespace}/events`;
    const unique = `${name}.${key}${Date.now().toString(16)}`;
    if (this.#known.size >= KNOWN_MAX) this.#known.clear();
    this.#known.set(key, { path: `${folder}/${unique}`, count: 1, atMs: performance.now() });
    const body = {
      apiVersion: "events.k8s.io/v1",
      kind: "Event",
      metadata: { name: unique, namespace },
      eventTime: microTime(),
      reportingController: "tricampus.dev/operator",
      reportingInstance: this.#instance,
      ...facts,
      note: facts.note.slice(0, NOTE_MAX),
      regarding,
    };
    await this.#client.carryOut({ method: "POST", path: folder, body });
  }
}

export function microTime(): string {
  return `${new Date().toISOString().slice(0, -1)}000Z`;
}
