/**
 * The operator: copies of what it watches, an election, and, while it is the one that acts, a queue of
 * data centres to look at. One that does not act keeps its copies warm, so that it can begin at once.
 */

import { NotLeading } from "./execute/execute.ts";
import { type ApiClient, whileAllowed } from "./kube/api-client.ts";
import { Election, type ElectionTiming } from "./kube/election.ts";
import { Events } from "./kube/events.ts";
import { WorkQueue } from "./kube/work-queue.ts";
import type { OperatorLog } from "./log.ts";
import { Cluster } from "./observe/cluster.ts";
import type { StoreLink } from "./observe/store-link.ts";
import type { Action } from "./plan/actions.ts";
import { ADDRESSES_HEARD_MS } from "./plan/observed.ts";
import { DataCenterReconciler } from "./reconcilers/data-center.ts";

export interface OperatorOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  /** The pod's name. */
  readonly identity: string;
  /** The image that data centres get which name none. */
  readonly image: string;
  /** Data centres worked on at once. */
  readonly workers?: number;
  readonly newStoreLink: (onChange: (dataCenter: string) => void) => StoreLink;
  readonly log: OperatorLog;
  readonly now?: () => number;
  /** Between two campuses that are disturbed one after the other. */
  readonly settleMs?: number;
  /** ADDRESSES_HEARD_MS, but in tests. */
  readonly addressesHeardMs?: number;
  /** Changes of one data centre within this time are looked at together. */
  readonly gatherMs?: number;
  readonly election?: ElectionTiming;
  /** Told of each action after it was carried out. */
  readonly onAction?: (dataCenter: string, action: Action) => void;
  /** Told of each round that is over, how long it took and whether it failed. */
  readonly onRound?: (seconds: number, result: "ok" | "failed") => void;
}

const LEASE = "tricampus-operator";
const WORKERS = 6;
const SETTLE_MS = 3_000;
const GATHER_MS = 50;

export class Operator {
  readonly cluster: Cluster;
  readonly election: Election;
  readonly #options: OperatorOptions;
  #acting: Acting | undefined;
  #stopped = false;
  #changing: Promise<void> = Promise.resolve();

  constructor(options: OperatorOptions) {
    const { client, namespace, identity, log } = options;
    this.#options = options;
    this.cluster = new Cluster({
      client,
      namespace,
      onChange: (dataCenter) => this.#acting?.changed(dataCenter),
      onTrouble: (kind, error) =>
        log.warn({ kind, reason: error.message }, "a watch was interrupted"),
    });
    this.election = new Election({
      client,
      namespace,
      name: LEASE,
      identity,
      ...(options.election && { timing: options.election }),
      onTrouble: (error) => log.warn({ reason: error.message }, "the Lease cannot be renewed"),
      onChange: (isLeading) => {
        this.#changing = this.#changing.then(() => this.#turn(isLeading));
      },
    });
  }

  async start(): Promise<void> {
    this.cluster.start();
    await this.cluster.synced();
    this.election.start();
  }

  /** Finishes what is under way, gives the Lease back, and stops everything. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#changing;
    await this.#acting?.stop();
    this.#acting = undefined;
    await this.election.stop();
    await this.cluster.stop();
    this.#options.client.stop();
  }

  /** Data centres that wait or are worked on; undefined while this one does not act. */
  get depth(): number | undefined {
    return this.#acting?.depth;
  }

  /** Looks at every data centre again, if this operator acts. */
  lookAtAll(): void {
    this.#acting?.lookAtAll();
  }

  async #turn(isLeading: boolean): Promise<void> {
    this.#options.log.info({ isLeading }, isLeading ? "this operator acts" : "another one acts");
    await this.#acting?.stop();
    this.#acting = undefined;
    if (!isLeading || this.#stopped) return;
    this.#acting = new Acting(this, this.#options);
  }
}

async function timed<T>({ onRound }: OperatorOptions, round: () => Promise<T>): Promise<T> {
  const startMs = performance.now();
  let result: "ok" | "failed" = "failed";
  try {
    const outcome = await round();
    result = "ok";
    return outcome;
  } finally {
    onRound?.((performance.now() - startMs) / 1_000, result);
  }
}

/** What exists only while this operator is the one that acts. */
class Acting {
  readonly #queue: WorkQueue;
  readonly #names: () => Iterable<string>;
  readonly #store: StoreLink;
  readonly #gatherMs: number;
  #isOver = false;

  constructor({ cluster, election }: Operator, options: OperatorOptions) {
    const { client, namespace, identity, image, log, workers = WORKERS } = options;
    this.#gatherMs = options.gatherMs ?? GATHER_MS;
    this.#store = options.newStoreLink((dataCenter) => this.changed(dataCenter));
    const leftMs = () => (this.#isOver ? 0 : election.leftMs);
    const acting = whileAllowed(client, () => {
      if (leftMs() <= 0) throw new NotLeading();
    });
    const reconciler = new DataCenterReconciler({
      cluster,
      executor: {
        client: acting,
        namespace,
        store: this.#store,
        leftMs,
        done: (dataCenter, action) => options.onAction?.(dataCenter, action),
      },
      events: new Events(acting, identity, (error) =>
        log.debug({ reason: error.message }, "an event was not written"),
      ),
      image,
      settleMs: options.settleMs ?? SETTLE_MS,
      addressesHeardMs: options.addressesHeardMs ?? ADDRESSES_HEARD_MS,
      now: options.now ?? Date.now,
      log: (dataCenter, text) => log.info({ dataCenter }, text),
    });
    this.#queue = new WorkQueue({
      workers,
      work: (dataCenter) => timed(options, () => reconciler.reconcile(dataCenter)),
      onFailure: (dataCenter, error) => {
        if (error instanceof NotLeading) return;
        log.warn(
          { dataCenter, reason: (error as Error).message },
          "a round failed; it comes again",
        );
      },
    });
    this.#names = () => cluster.dataCenters.keys();
    this.lookAtAll();
    this.#queue.start();
  }

  lookAtAll(): void {
    for (const name of this.#names()) this.#queue.add(name);
  }

  get depth(): number {
    return this.#queue.depth;
  }

  changed(dataCenter: string): void {
    this.#queue.addAfter(dataCenter, this.#gatherMs);
  }

  async stop(): Promise<void> {
    this.#isOver = true;
    await this.#queue.stop();
    this.#store.stop();
  }
}
