/**
 * An API server double: the part of Kubernetes' HTTP interface that the operator uses, on loopback, with
 * faults on demand. It proves logic; that Kubernetes answers the same is shown by its own suite, which
 * also runs against a real one (api-server.suite.ts).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { KubeObject } from "../../kube/object.ts";
import { mayEvict } from "./disruptions.ts";
import { type Change, Objects, type Place, Refused } from "./objects.ts";

/** What goes wrong with a request; asked for each, with what is known of it. */
export type Fault =
  | {
      readonly fault: "status";
      readonly code: number;
      readonly retryAfterSeconds?: number;
      /** What a budget of disruptions is said to object. */
      readonly budget?: string;
    }
  /** The connection is reset before (or after) the request is carried out. */
  | { readonly fault: "reset"; readonly carriedOut?: boolean }
  /** Never answered; a watch that is open falls silent. */
  | { readonly fault: "mute" }
  /** Half of an answer; of a watch a byte now and then, and never a line. */
  | { readonly fault: "stall" }
  /** Answered so much later. */
  | { readonly fault: "slow"; readonly ms: number };

export interface Asked {
  readonly method: string;
  readonly resource: string;
  readonly name: string;
  readonly subresource: string;
  readonly isWatch: boolean;
  /** Of all requests, counted from 1. */
  readonly number: number;
}

interface Options {
  readonly bookmarkEveryMs?: number;
  /** Kinds by resource, for lists of nothing. */
  readonly kinds?: Readonly<Record<string, string>>;
}

interface Watching {
  readonly place: Place;
  readonly labels: readonly (readonly [string, string])[];
  readonly response: ServerResponse;
  /** What is not newer is not told. */
  readonly since: number;
  isMute: boolean;
}

/** Between an error in a stream and its end. */
const ERROR_TO_END_MS = 20;
const DRIP_MS = 100;
const BODY_MAX = 3 * 1024 * 1024;

export class ApiDouble {
  readonly objects = new Objects();
  readonly #options: Options;
  readonly #http: Server;
  readonly #watching = new Set<Watching>();
  readonly #pages = new Map<string, { version: number; rest: KubeObject[] }>();
  #requests = 0;
  #pageNumber = 0;
  /** What goes wrong; undefined: nothing. */
  faultOf: (asked: Asked) => Fault | undefined = () => undefined;
  /** What is deleted may go at once; else it is only marked, until whoever holds it lets go. */
  mayGo: (resource: string, object: KubeObject, isForced: boolean) => boolean = () => true;
  /** Watches are told nothing up to the version that they begin from, bookmarks neither, as some servers do. */
  isSilentBehind = false;
  /** Watches that ask for bookmarks are told some. */
  tellsBookmarks = true;
  /** Requests that change something and were carried out. */
  writes = 0;
  readonly #writesTo = new Map<string, number>();

  constructor(options: Options = {}) {
    this.#options = options;
    this.#http = createServer((request, response) => {
      this.#serve(request, response).catch((error: unknown) => answerError(response, error));
    });
    this.#http.keepAliveTimeout = 30_000;
    this.objects.listen((resource, change) => this.#tell(resource, change));
  }

  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#http.listen(port, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  async close(): Promise<void> {
    this.cutWatches();
    this.#http.closeAllConnections();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
  }

  writesTo(resource: string): number {
    return this.#writesTo.get(resource) ?? 0;
  }

  /** As when the server is started anew: every connection breaks. */
  breakConnections(): void {
    this.#http.closeAllConnections();
  }

  /** Ends every watch properly. */
  cutWatches(): void {
    for (const watching of this.#watching) watching.response.end();
  }

  /** Watches that are open now are never told anything more, and not ended. */
  muteWatches(): void {
    for (const watching of this.#watching) watching.isMute = true;
  }

  get openWatches(): number {
    return this.#watching.size;
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://double");
    const { place, name, subresource } = placeOf(url.pathname);
    const isWatch = url.searchParams.has("watch");
    this.#requests += 1;
    const method = request.method ?? "GET";
    const { resource } = place;
    const number = this.#requests;
    const fault = this.faultOf({ method, resource, name, subresource, isWatch, number });
    const body = await readBody(request);
    if (fault?.fault === "mute" && !isWatch) return;
    if (fault?.fault === "reset" && fault.carriedOut !== true) {
      request.socket.resetAndDestroy();
      return;
    }
    if (fault?.fault === "slow") await new Promise((resolve) => setTimeout(resolve, fault.ms));
    if (response.destroyed) return;
    if (fault?.fault === "status") throw refusedWith(fault);
    if (isWatch) return this.#watch(place, url.searchParams, { response, fault });
    const answer = this.#answer(method, { place, name, subresource }, { url, request, body });
    if (fault?.fault === "reset") {
      request.socket.resetAndDestroy();
      return;
    }
    if (fault?.fault === "stall") {
      response.writeHead(200, { "content-type": "application/json" });
      response.write(JSON.stringify(answer).slice(0, -1));
      return;
    }
    const isShort = request.headers.accept?.includes("as=PartialObjectMetadata") === true;
    sendJson(response, method === "POST" ? 201 : 200, isShort ? metadataOf(answer) : answer);
  }

  #answer(
    method: string,
    { place, name, subresource }: { place: Place; name: string; subresource: string },
    { url, request, body }: { url: URL; request: IncomingMessage; body: string },
  ): unknown {
    const { searchParams } = url;
    if (method === "GET" && name === "") return this.#list(place, searchParams);
    if (method === "GET") {
      const found = this.objects.get(place, name);
      if (found === undefined) throw new Refused(404, "NotFound", `"${name}" not found`);
      return found;
    }
    this.writes += 1;
    this.#writesTo.set(place.resource, this.writesTo(place.resource) + 1);
    const manager = searchParams.get("fieldManager") ?? request.headers["user-agent"] ?? "somebody";
    if (method === "DELETE") return this.#delete(place, name, body);
    if (method === "POST" && subresource === "eviction") {
      this.#delete(place, name, mayEvict(this.objects, place, name, body));
      return { kind: "Status", apiVersion: "v1", metadata: {}, status: "Success", code: 201 };
    }
    const object = JSON.parse(body) as KubeObject;
    if (method === "POST") return this.objects.create(place, object, { manager });
    const contentType = request.headers["content-type"] ?? "";
    const force = searchParams.get("force") === "true";
    if (contentType.startsWith("application/apply-patch"))
      return this.objects.apply(place, object, { manager, force, subresource });
    return this.objects.patch(place, name, { body: object, manager, subresource });
  }

  #delete(place: Place, name: string, body: string): unknown {
    const options = JSON.parse(body || "{}") as {
      preconditions?: { uid?: string };
      gracePeriodSeconds?: number;
    };
    const object = this.objects.get(place, name);
    const isForced = options.gracePeriodSeconds === 0;
    const uid = options.preconditions?.uid;
    if (object !== undefined && !this.mayGo(place.resource, object, isForced))
      return this.objects.mark(place, name, { uid });
    return this.objects.delete(place, name, { uid });
  }

  #list(place: Place, query: URLSearchParams): unknown {
    const limit = Number(query.get("limit") ?? Number.POSITIVE_INFINITY);
    const from = query.get("continue");
    const page = from === null ? undefined : this.#pages.get(from);
    if (from !== null && page === undefined)
      throw new Refused(410, "Expired", "the continue token is too old: list again");
    const labels = labelsIn(query);
    const all =
      page?.rest ??
      this.objects
        .all(place.resource)
        .filter((object) => isIn(place, object.metadata.namespace) && has(object, labels));
    const version = page?.version ?? this.objects.version;
    const items = all.slice(0, limit);
    const rest = all.slice(limit);
    let next: string | undefined;
    if (rest.length > 0) {
      this.#pageNumber += 1;
      next = `page-${this.#pageNumber}`;
      this.#pages.set(next, { version, rest });
    }
    const kind = this.#options.kinds?.[place.resource] ?? "List";
    const metadata = {
      resourceVersion: String(version),
      ...(next !== undefined && { continue: next }),
    };
    return { kind, apiVersion: "v1", metadata, items };
  }

  /** Continue tokens of before are not known any more. */
  forgetPages(): void {
    this.#pages.clear();
  }

  #watch(
    place: Place,
    query: URLSearchParams,
    { response, fault }: { response: ServerResponse; fault: Fault | undefined },
  ): void {
    const labels = labelsIn(query);
    const since = Number(query.get("resourceVersion") ?? 0);
    const isMute = fault?.fault === "mute" || fault?.fault === "stall";
    const behind = this.isSilentBehind ? since : 0;
    const watching: Watching = { place, labels, response, since: behind, isMute };
    response.writeHead(200, { "content-type": "application/json" });
    response.flushHeaders();
    if (fault?.fault === "stall") {
      const dripping = setInterval(() => response.write(" "), DRIP_MS);
      response.once("close", () => clearInterval(dripping));
    }
    const missed = this.#missed(place.resource, since, response);
    if (missed === undefined) return;
    for (const change of missed) send(watching, change);
    this.#watching.add(watching);
    const endMs = Number(query.get("timeoutSeconds") ?? 1_800) * 1_000;
    const hasBookmarks = query.get("allowWatchBookmarks") === "true";
    const bookmark = () => {
      if (watching.isMute || response.writableEnded || this.objects.version < behind) return;
      if (hasBookmarks && this.tellsBookmarks) response.write(this.#bookmark());
    };
    // As a real one: now and then, and two seconds before the end.
    const every = setInterval(bookmark, this.#options.bookmarkEveryMs ?? 60_000);
    const last = setTimeout(bookmark, Math.max(0, endMs - 2_000));
    const end = setTimeout(() => {
      if (!watching.isMute) response.end();
    }, endMs);
    response.once("close", () => {
      clearInterval(every);
      clearTimeout(last);
      clearTimeout(end);
      this.#watching.delete(watching);
    });
  }

  /** As a real one: that they are not kept any more is told in the stream, which ends then. */
  #missed(resource: string, since: number, response: ServerResponse) {
    try {
      return this.objects.changesSince(resource, since);
    } catch (error) {
      const { status: code, reason, message } = error as Refused;
      const object = { kind: "Status", metadata: {}, status: "Failure", code, reason, message };
      response.write(`${JSON.stringify({ type: "ERROR", object })}\n`);
      setTimeout(() => response.end(), ERROR_TO_END_MS);
      return undefined;
    }
  }

  #bookmark(): string {
    const metadata = { resourceVersion: String(this.objects.version) };
    return `${JSON.stringify({ type: "BOOKMARK", object: { metadata } })}\n`;
  }

  #tell(resource: string, change: Change): void {
    for (const watching of this.#watching)
      if (watching.place.resource === resource) send(watching, change);
  }
}

function send({ place, labels, response, since, isMute }: Watching, change: Change): void {
  if (isMute || change.version <= since || response.writableEnded || !isIn(place, change.namespace))
    return;
  if (!labels.every(([name, value]) => change.labels[name] === value)) return;
  response.write(change.line);
}

function metadataOf(answer: unknown): object {
  const { metadata } = answer as KubeObject;
  return { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata };
}

/** "/apis/apps/v1/namespaces/x/deployments/name/status" */
function placeOf(path: string): { place: Place; name: string; subresource: string } {
  const found =
    /^(\/api\/v1|\/apis\/[^/]+\/[^/]+)(?:\/namespaces\/([^/]+))?\/([^/]+)(?:\/([^/]+))?(?:\/([^/]+))?$/.exec(
      path,
    );
  if (found === null) throw new Refused(404, "NotFound", `there is no ${path}`);
  const [, prefix, namespace = "", plural, name = "", subresource = ""] = found;
  return { place: { resource: `${prefix} ${plural}`, namespace }, name, subresource };
}

function labelsIn(query: URLSearchParams): [string, string][] {
  const text = query.get("labelSelector") ?? "";
  return text === "" ? [] : text.split(",").map((part) => part.split("=") as [string, string]);
}

function has({ metadata }: KubeObject, labels: readonly (readonly [string, string])[]): boolean {
  return labels.every(([name, value]) => metadata.labels?.[name] === value);
}

function isIn({ namespace }: Place, other: string | undefined): boolean {
  return namespace === "" || namespace === other;
}

function refusedWith({ code, retryAfterSeconds, budget }: Fault & { fault: "status" }): Refused {
  const causes = budget === undefined ? [] : [{ reason: "DisruptionBudget", message: budget }];
  const details = { causes, retryAfterSeconds };
  return new Refused(code, code === 410 ? "Expired" : "Fault", `a fault: ${code}`, details);
}

function answerError(response: ServerResponse, error: unknown): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const refused =
    error instanceof Refused ? error : new Refused(500, "InternalError", (error as Error).message);
  const { status: code, reason, message, details } = refused;
  const seconds = details?.retryAfterSeconds;
  if (seconds !== undefined) response.setHeader("retry-after", String(seconds));
  sendJson(response, code, {
    kind: "Status",
    apiVersion: "v1",
    status: "Failure",
    code,
    reason,
    message,
    details,
  });
}

function sendJson(response: ServerResponse, code: number, value: unknown): void {
  const text = JSON.stringify(value);
  const length = Buffer.byteLength(text);
  response.writeHead(code, { "content-type": "application/json", "content-length": length });
  response.end(text);
}

/** By events: going through the chunks as an iterable costs as much as the rest of a short request. */
function readBody(request: IncomingMessage): Promise<string> {
  return new Promise((resolve, reject) => {
    let [text, size] = ["", 0];
    request.setEncoding("utf8");
    request.on("data", (chunk: string) => {
      size += chunk.length;
      if (size > BODY_MAX) reject(new Refused(413, "TooLarge", "the object is too large"));
      else text += chunk;
    });
    request.once("end", () => resolve(text));
    request.once("error", reject);
  });
}
