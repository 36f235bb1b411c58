/** Chromium without a window, and one page of it, spoken to over its own pipe (the DevTools protocol). */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable, Writable } from "node:stream";

const COMMANDS = ["chromium", "chromium-browser", "google-chrome"];
const STARTS_MS = 60_000;

interface Answer {
  readonly id?: number;
  readonly method?: string;
  readonly sessionId?: string;
  readonly params?: { readonly targetInfo?: { readonly url: string } };
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

interface Evaluated {
  readonly result: { readonly value?: unknown };
  readonly exceptionDetails?: { readonly exception?: { readonly description?: string } };
}

function commandOf(): string {
  for (const name of COMMANDS) {
    try {
      return execFileSync("sh", ["-c", `command -v ${name}`], { encoding: "utf8" }).trim();
    } catch {
      // The next one may be there.
    }
  }
  throw new Error("no browser is installed here: apt-get install chromium");
}

export class Chromium {
  readonly #process: ChildProcess;
  readonly #folder: string;
  readonly #waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>>>();
  readonly #loads = new Set<() => void>();
  #session = "";
  #calls = 0;
  #rest = "";

  private constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), "tricampus-chromium-"));
    const flags = ["--headless=new", "--remote-debugging-pipe", "--no-first-run", "--disable-gpu"];
    // In containers people are root, and there is no room for its sandbox.
    if (process.getuid?.() === 0) flags.push("--no-sandbox");
    flags.push("--disable-dev-shm-usage", `--user-data-dir=${this.#folder}`, "about:blank");
    this.#process = spawn(commandOf(), flags, {
      stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    });
    const out = this.#process.stdio[4] as Readable;
    out.setEncoding("utf8").on("data", (text: string) => this.#take(text));
    this.#process.once("close", () => {
      for (const { reject } of this.#waiting.values()) reject(new Error("the browser has ended"));
      this.#waiting.clear();
    });
  }

  /** With one empty page. */
  static async start(): Promise<Chromium> {
    const browser = new Chromium();
    const late = setTimeout(() => browser.#process.kill("SIGKILL"), STARTS_MS);
    const { targetId } = await browser.#call("Target.createTarget", { url: "about:blank" });
    const attached = await browser.#call("Target.attachToTarget", { targetId, flatten: true });
    clearTimeout(late);
    browser.#session = attached["sessionId"] as string;
    await browser.#call("Page.enable", {});
    return browser;
  }

  /** Resolves when the page has loaded; what ran in the one before is gone. */
  async open(url: string): Promise<void> {
    const loaded = Promise.withResolvers<void>();
    this.#loads.add(loaded.resolve);
    await this.#call("Page.navigate", { url });
    await loaded.promise;
    this.#loads.delete(loaded.resolve);
  }

  /** Runs the body of an async function in the page; resolves to what it returns, as JSON has it. */
  async run<T>(body: string): Promise<T> {
    const expression = `(async () => { ${body} })()`;
    const options = { expression, awaitPromise: true, returnByValue: true };
    const { result, exceptionDetails } = (await this.#call(
      "Runtime.evaluate",
      options,
    )) as unknown as Evaluated;
    if (exceptionDetails !== undefined)
      throw new Error(`in the page: ${exceptionDetails.exception?.description}`);
    return result.value as T;
  }

  async stop(): Promise<void> {
    const ended = new Promise((done) => this.#process.once("close", done));
    this.#process.kill("SIGKILL");
    await ended;
    rmSync(this.#folder, { recursive: true, maxRetries: 5, retryDelay: 200 });
  }

  #call(method: string, params: object): Promise<Record<string, unknown>> {
    const id = ++this.#calls;
    const waiting = Promise.withResolvers<Record<string, unknown>>();
    this.#waiting.set(id, waiting);
    const session = this.#session === "" ? {} : { sessionId: this.#session };
    const pipe = this.#process.stdio[3] as Writable;
    pipe.write(`${JSON.stringify({ id, method, params, ...session })}\0`);
    return waiting.promise;
  }

  #take(text: string): void {
    const messages = (this.#rest + text).split("\0");
    this.#rest = messages.pop()!;
    for (const message of messages) {
      const { id, method, result, error } = JSON.parse(message) as Answer;
      if (method === "Page.loadEventFired") for (const loaded of this.#loads) loaded();
      const waiting = id === undefined ? undefined : this.#waiting.get(id);
      if (waiting === undefined) continue;
      this.#waiting.delete(id!);
      if (error === undefined) waiting.resolve(result ?? {});
      else waiting.reject(new Error(error.message));
    }
  }
}
