/**
 * The store's own word, and what the control table says: asked over svrkit from the replicas of each
 * data centre, all the time, because the cluster's word is late and is about processes, not about data. A
 * replica that does not answer twice running is silent.
 */
import { Process, type StatusReply } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { ControlTable } from "../../services/control/client.ts";
import {
  inMoves,
  planRebalance,
  rangesOf,
  SlotsClient,
} from "../../services/control/slots-client.ts";
import { type Callee, Client } from "../../services/svrkit/client.ts";
import { Credentials } from "../../services/svrkit/tls/credentials.ts";
import { KEYSPACES } from "../api/kv-group.ts";
import { PORT } from "../manifests/pod.ts";
import type { ReplicaWord, Table } from "../plan/observed.ts";
import { keyspaceNumber } from "./keyspaces.ts";

const ASK_EVERY_MS = 1_000;
const ASK_TIMEOUT_MS = 900;
const SILENT_AFTER = 2;
/** How often it is asked how busy all processes are: every so many rounds. */
const BUSY_EVERY = 4;
/** What was read so long ago is not known any more. */
const TABLE_OLD_MS = 10_000;

const BUSY_MONITOR = "process.busy_ms";

export interface StoreFacts {
  readonly words: ReadonlyMap<string, ReplicaWord>;
  readonly table: Table | undefined;
  readonly busyPercent: ReadonlyMap<string, number>;
}

/** Its address in the cluster, a service that must answer there, and the uid of the pod behind it; "": none. */
interface Door {
  readonly host: string;
  readonly service: string;
  readonly pod: string;
}

/** By "kvsvr-1/a" or "logic/a". */
type Doors = ReadonlyMap<string, Door>;

/** How to speak with a data centre's pods: with these PEM texts, or without. */
type StoreSecurity = { readonly ca: string; readonly cert: string; readonly key: string } | "plain";

export interface StorePlace {
  readonly doors: Doors;
  /** undefined: not known yet, so nobody is asked. */
  readonly security: StoreSecurity | undefined;
}

/** What may be changed in a data centre's control table. */
export interface StoreTables {
  readonly control: Pick<ControlTable, "block" | "unblock" | "blocks">;
  /** Begins the moves after which the groups named have the same share of each keyspace named. */
  evenSlots(shares: Readonly<Record<string, readonly number[]>>, why: string): Promise<void>;
}

/** What the operator needs to know of, and may do to, the store of a data centre. */
export interface StoreLink {
  /** From now on these doors are asked; called whenever they may have changed. */
  follow(dataCenter: string, place: StorePlace): void;
  forget(dataCenter: string): void;
  facts(dataCenter: string): StoreFacts;
  /** Undefined while no replica of the first group is known. */
  tables(dataCenter: string): StoreTables | undefined;
  stop(): void;
}

const NOTHING: StoreFacts = { words: new Map(), table: undefined, busyPercent: new Map() };

export class SvrkitStoreLink implements StoreLink {
  readonly #onChange: (dataCenter: string) => void;
  readonly #followed = new Map<string, Followed>();

  constructor(onChange: (dataCenter: string) => void) {
    this.#onChange = onChange;
  }

  follow(dataCenter: string, { doors, security }: StorePlace): void {
    if (security === undefined) return;
    let followed = this.#followed.get(dataCenter);
    if (followed !== undefined && !isSame(followed.security, security)) {
      followed.stop();
      followed = undefined;
    }
    if (followed === undefined) {
      followed = new Followed(security, () => this.#onChange(dataCenter));
      this.#followed.set(dataCenter, followed);
    }
    followed.set(doors);
  }

  forget(dataCenter: string): void {
    this.#followed.get(dataCenter)?.stop();
    this.#followed.delete(dataCenter);
  }

  facts(dataCenter: string): StoreFacts {
    return this.#followed.get(dataCenter)?.facts ?? NOTHING;
  }

  tables(dataCenter: string) {
    return this.#followed.get(dataCenter)?.tables;
  }

  stop(): void {
    for (const name of [...this.#followed.keys()]) this.forget(name);
  }
}

function isSame(a: StoreSecurity, b: StoreSecurity): boolean {
  if (a === "plain" || b === "plain") return a === b;
  return a.ca === b.ca && a.cert === b.cert;
}

interface Asked {
  readonly address: string;
  readonly pod: string;
  readonly callee: Callee;
  failures: number;
  word: ReplicaWord | undefined;
  /** When the process that answered last was started; monotonic. */
  startedAtMs: number | undefined;
  /** The same of the former pod's: no answer of it, over a connection that still stands, is this one's. */
  readonly formerAtMs: number | undefined;
  /** Of the process that answered last: to measure how busy it is. */
  busy: { process: string; busyMs: number; uptimeMs: number } | undefined;
  percent: number | undefined;
}

/** One data centre. */
class Followed {
  readonly security: StoreSecurity;
  readonly #client: Client;
  readonly #onChange: () => void;
  readonly #asked = new Map<string, Asked>();
  #tables: (StoreTables & { doors: string; control: ControlTable; slots: SlotsClient }) | undefined;
  #table: Table | undefined;
  #tableText = "";
  #tableReadAtMs = Number.NEGATIVE_INFINITY;
  #round = 0;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;

  constructor(security: StoreSecurity, onChange: () => void) {
    this.security = security;
    this.#onChange = onChange;
    this.#client = new Client({ process: "operator", campus: "" }, undefined, {
      plaintext: security === "plain",
      credentials: security === "plain" ? undefined : new Credentials(security),
    });
  }

  set(doors: Doors): void {
    for (const [key, { host, service, pod }] of doors) {
      const before = this.#asked.get(key);
      const isSamePod = before?.pod === pod || !isStore(key);
      if (before?.address === host && isSamePod) continue;
      const callee = this.#calleeOf(service, [{ campus: key.split("/")[1]!, host }]);
      this.#asked.set(key, {
        address: host,
        pod,
        callee,
        failures: 0,
        word: isSamePod ? before?.word : undefined,
        startedAtMs: isSamePod ? before?.startedAtMs : undefined,
        formerAtMs: isSamePod ? before?.formerAtMs : (before?.startedAtMs ?? before?.formerAtMs),
        busy: undefined,
        percent: undefined,
      });
    }
    for (const key of this.#asked.keys()) if (!doors.has(key)) this.#asked.delete(key);
    this.#connectTables();
    this.#timer ??= setTimeout(() => void this.#ask(), 0);
  }

  get facts(): StoreFacts {
    const words = new Map<string, ReplicaWord>();
    const busyPercent = new Map<string, number>();
    for (const [key, { word, percent }] of this.#asked) {
      if (word !== undefined && isStore(key)) words.set(key, word);
      const campus = key.split("/")[1]!;
      if (percent !== undefined)
        busyPercent.set(campus, Math.max(percent, busyPercent.get(campus) ?? 0));
    }
    const isOld = performance.now() - this.#tableReadAtMs > TABLE_OLD_MS;
    return { words, busyPercent, table: isOld ? undefined : this.#table };
  }

  get tables() {
    return this.#tables;
  }

  stop(): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
    this.#client.stop();
  }

  #calleeOf(service: string, places: readonly { campus: string; host: string }[]): Callee {
    const addresses = places.map((place) => ({ ...place, port: PORT.door }));
    return this.#client.callee(service, addresses, { caller: "operator" });
  }

  #connectTables(): void {
    const first = [...this.#asked].filter(([key]) => key.startsWith("kvsvr-1/"));
    first.sort(([a], [b]) => (a < b ? -1 : 1));
    const doors = first.map(([, { address }]) => address).join(" ");
    if (first.length < 3 || this.#tables?.doors === doors) return;
    const places = first.map(([key, { address }]) => {
      return { campus: key.split("/")[1]!, host: address };
    });
    const callee = this.#calleeOf("kvsvr", places);
    const slots = new SlotsClient(callee);
    this.#tables = {
      ...{ doors, slots, control: new ControlTable(callee) },
      evenSlots: (shares, why) => evenSlots(slots, shares, why),
    };
  }

  async #ask(): Promise<void> {
    this.#round += 1;
    const isFull = this.#round % BUSY_EVERY === 1;
    const before = this.#shown();
    const asked = [...this.#asked].filter(([key]) => isFull || isStore(key));
    await Promise.all([...asked.map(([, one]) => askOne(one)), this.#readTable()]);
    if (this.#isStopped) return;
    if (this.#shown() !== before) this.#onChange();
    this.#timer = setTimeout(() => void this.#ask(), ASK_EVERY_MS * (0.9 + Math.random() * 0.2));
  }

  /** What makes a difference to a plan, as text. */
  #shown(): string {
    const { words, table } = this.facts;
    const said = [...words].map(
      ([key, { pod, unready }]) => `${key} ${pod} ${unready ?? "silent"}`,
    );
    return `${said.sort().join("\n")}\n${table === undefined ? "" : this.#tableText}`;
  }

  async #readTable(): Promise<void> {
    const tables = this.#tables;
    if (tables === undefined) return;
    try {
      this.#table = await readTable(tables);
      this.#tableText = JSON.stringify(this.#table);
      this.#tableReadAtMs = performance.now();
    } catch {
      // Not readable now: what was read last counts for a while, then nothing is known.
    }
  }
}

/** What is blocked, and who has which slots; throws when no quorum of the store answers. */
export async function readTable({
  control,
  slots: client,
}: {
  readonly control: Pick<ControlTable, "blocks">;
  readonly slots: Pick<SlotsClient, "read">;
}): Promise<Table> {
  const [blocks, slots] = await Promise.all([control.blocks(), client.read()]);
  const counts = KEYSPACES.map((name) => {
    const owned: number[] = [];
    for (const { first, last, group } of rangesOf(slots, keyspaceNumber(name)))
      owned[group - 1] = (owned[group - 1] ?? 0) + last - first + 1;
    return [name, Array.from(owned, (count) => count ?? 0)] as const;
  });
  return {
    blocks: blocks.map(({ what, untilMs, why, who }) => ({ what, untilMs, why, who })),
    slots: Object.fromEntries(counts),
    isMoving: slots.move !== undefined || slots.waiting.length > 0,
  };
}

/** Keys are not counted here: moves are cut by slots. */
const SLOTS_PER_MOVE = 256;

async function evenSlots(
  slots: SlotsClient,
  shares: Readonly<Record<string, readonly number[]>>,
  why: string,
): Promise<void> {
  const now = await slots.read();
  if (now.move !== undefined || now.waiting.length > 0) return;
  const transfers = KEYSPACES.flatMap((keyspace) => {
    const groups = shares[keyspace];
    return groups === undefined ? [] : planRebalance(now, [keyspaceNumber(keyspace)], groups);
  });
  const moves = inMoves(transfers, () => 1, SLOTS_PER_MOVE);
  if (moves.length > 0) await slots.move(moves, "rebalance", { who: "tricampus-operator", why });
}

function isStore(key: string): boolean {
  return key.startsWith("kvsvr-");
}

/** Two estimates of one start differ by less: an answer takes so long at most. */
const SAME_START_MS = 1_000;

async function askOne(asked: Asked): Promise<void> {
  const reply = await asked.callee
    .call(Process.status, {}, { timeoutMs: ASK_TIMEOUT_MS })
    .catch(() => undefined);
  const startedAtMs = performance.now() - (reply?.uptimeMs ?? 0);
  const isFormer = startedAtMs < (asked.formerAtMs ?? Number.NEGATIVE_INFINITY) + SAME_START_MS;
  if (reply === undefined || isFormer) {
    asked.failures += 1;
    asked.percent = undefined;
    if (asked.failures >= SILENT_AFTER) asked.word = { unready: undefined, pod: asked.pod };
    return;
  }
  asked.failures = 0;
  asked.startedAtMs = startedAtMs;
  asked.word = { unready: reply.unready, pod: asked.pod };
  measure(asked, reply);
}

function measure(asked: Asked, { process, uptimeMs, monitors }: StatusReply): void {
  const busyMs = monitors.find(({ name }) => name === BUSY_MONITOR)?.value;
  if (busyMs === undefined) return;
  const before = asked.busy;
  asked.busy = { process, busyMs, uptimeMs };
  if (before?.process !== process || uptimeMs <= before.uptimeMs) return;
  asked.percent = (100 * (busyMs - before.busyMs)) / (uptimeMs - before.uptimeMs);
}
