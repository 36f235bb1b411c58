/**
 * Something read from files, and read again when they change: certificates, keys, limits. What is new is
 * checked as a whole first; when it cannot be used, what was valid before stays in force, and the process
 * says so until the files are good again. It then also starts with what is usual, where there is that.
 *
 * Files are looked at and not watched: what is mounted changes by links that are swapped.
 */
import { statSync } from "node:fs";
import { processBeat } from "../beat.ts";
import type { Logger } from "../log.ts";
import { setTrouble } from "../monitors/trouble.ts";

const LOOK_EVERY_MS = 2_000;

interface Source<T> {
  /** For people: "tls", "limits". */
  readonly name: string;
  /** Throws an error that names the file when what lies there cannot be used. */
  readonly load: () => T;
  /** Differs whenever the files do. */
  readonly signature: () => string;
  /**
   * In force when what is there at first cannot be used, and what people call it ("the usual limits");
   * undefined: then that is thrown.
   */
  readonly usual?: { readonly value: T; readonly called: string };
  /** What people should know of a value that is in force; undefined when all is well. */
  readonly trouble?: (value: T) => string | undefined;
}

export class Watched<T> {
  readonly #source: Source<T>;
  readonly #log: Logger | undefined;
  readonly #listeners = new Set<(value: T) => void>();
  #value: T;
  /** Of the files that were last loaded; "": none could be. */
  #signature: string;
  /** What was last logged to be wrong, until it is well again. */
  #failure = "";
  #end: (() => void) | undefined;

  /** Throws when what is there at first cannot be used, and there is no usual value. */
  constructor(source: Source<T>, log?: Logger) {
    this.#source = source;
    this.#log = log;
    const { usual } = source;
    if (usual === undefined) {
      this.#signature = source.signature();
      this.#value = source.load();
      return;
    }
    this.#signature = "";
    this.#value = usual.value;
    this.#look();
  }

  get value(): T {
    return this.#value;
  }

  /** Looks at the files from now on; the timer keeps no process alive. */
  watch(lookEveryMs: number = LOOK_EVERY_MS): void {
    this.#end ??= processBeat.every(lookEveryMs, () => this.#look());
  }

  stop(): void {
    this.#end?.();
    this.#end = undefined;
  }

  /** `changed` is called with each new value; returns what ends that. */
  onChange(changed: (value: T) => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  #look(): void {
    const { name, load, signature, trouble } = this.#source;
    try {
      const now = signature();
      if (now !== this.#signature) {
        const value = load();
        for (const changed of this.#listeners) changed(value);
        this.#value = value;
        const isFirst = this.#signature === "";
        this.#signature = now;
        if (!isFirst) this.#log?.info({ source: name }, "read again, since it has changed");
      }
      setTrouble(name, trouble?.(this.#value));
      this.#failure = "";
    } catch (error) {
      this.#failed((error as Error).message);
    }
  }

  #failed(message: string): void {
    const { name, usual } = this.#source;
    const isUsual = usual !== undefined && this.#signature === "";
    const counts = isUsual ? `${usual.called} are in force` : "what was in force stays in force";
    setTrouble(name, `${counts}: ${message}`);
    if (message === this.#failure) return;
    this.#failure = message;
    this.#log?.warn({ source: name }, `${counts}: ${message}`);
  }
}

/** Tells files from their successors, also when a link was pointed elsewhere. */
export function signatureOfFiles(paths: readonly string[]): string {
  return paths
    .map((path) => {
      const { ino, size, mtimeMs } = statSync(path);
      return `${path}:${ino}.${size}.${mtimeMs}`;
    })
    .join(" ");
}
