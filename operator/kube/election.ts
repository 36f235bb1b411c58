/**
 * Which of several operators acts: the holder of a Lease object.
 *
 * A candidate takes the Lease when it was not renewed for long by the candidate's own clock, so clocks
 * need not agree; each change names the version that was read, so one of two wins. The holder renews all the
 * time and stops acting before its time is over, also when its renewal is under way or its loop was stuck:
 * `leftMs` is asked before every write. A write that comes late then does no harm: each is complete in
 * itself and names the object that it was meant for, and the next holder looks again.
 */
import { rest } from "../../services/svrkit/rest.ts";
import { type ApiClient, ApiError } from "./api-client.ts";
import { microTime } from "./events.ts";
import type { KubeObject } from "./object.ts";

export interface ElectionTiming {
  /** Whoever is silent for so long is replaced. */
  readonly leaseMs: number;
  readonly renewMs: number;
  /** The holder stops acting so long before others may take over. */
  readonly marginMs: number;
}

/** Of an operator that dies, the next one hears at the latest after the lease and one and a half renewals. */
const TIMING: ElectionTiming = { leaseMs: 3_000, renewMs: 400, marginMs: 600 };
/** Neither what the server asks of others nor a queue of requests may cost the Lease. */
const REQUEST = { isPaced: true, timeoutMs: 1_500 } as const;

interface ElectionOptions {
  readonly client: ApiClient;
  readonly namespace: string;
  /** Name of the Lease. */
  readonly name: string;
  /** Who this is: the pod's name. */
  readonly identity: string;
  readonly onTrouble: (error: Error) => void;
  /** This one acts now, or does not any more. */
  readonly onChange: (isLeading: boolean) => void;
  readonly timing?: ElectionTiming;
}

interface LeaseSpec {
  holderIdentity?: string | undefined;
  leaseDurationSeconds?: number;
  acquireTime?: string;
  renewTime?: string;
  leaseTransitions?: number;
}

export class Election {
  readonly #options: ElectionOptions;
  readonly #timing: ElectionTiming;
  readonly #stop = new AbortController();
  #running: Promise<void> | undefined;
  /** Until when this one may act, by performance.now(). */
  #untilMs = Number.NEGATIVE_INFINITY;
  #isLeading = false;
  /** What others' Lease looked like, and since when it has not changed. */
  #seen: { version: string; sinceMs: number } | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ElectionOptions) {
    this.#options = options;
    this.#timing = options.timing ?? TIMING;
  }

  get isLeading(): boolean {
    return this.#isLeading && this.leftMs > 0;
  }

  /** For how long this one may still act without renewing. */
  get leftMs(): number {
    return this.#untilMs - performance.now();
  }

  start(): void {
    this.#running ??= this.#run();
  }

  /** Gives the Lease back, so that the next one need not wait. Call when nothing acts any more. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
    const wasLeading = this.isLeading;
    this.#resign();
    if (wasLeading) await this.#release().catch(() => {}); // others take it a little later
  }

  async #run(): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      try {
        await this.#tryOnce();
      } catch (error) {
        this.#options.onTrouble(error as Error);
      }
      await rest(this.#timing.renewMs * (0.8 + Math.random() * 0.4));
    }
  }

  async #tryOnce(): Promise<void> {
    const askedAtMs = performance.now();
    const lease = await this.#read();
    if (lease === undefined) {
      await this.#create();
      this.#lead(askedAtMs);
      return;
    }
    const spec = (lease.spec ?? {}) as LeaseSpec;
    const isOurs = spec.holderIdentity === this.#options.identity;
    if (!isOurs && !this.#isFree(lease, spec)) return this.#resign();
    const isNew = !isOurs || !this.#isLeading;
    await this.#write(lease.metadata.resourceVersion!, {
      ...this.#newSpec(isNew ? undefined : spec.acquireTime),
      leaseTransitions: (spec.leaseTransitions ?? 0) + (isNew ? 1 : 0),
    });
    this.#lead(askedAtMs);
  }

  #isFree(lease: KubeObject, { holderIdentity }: LeaseSpec): boolean {
    if (holderIdentity === undefined || holderIdentity === "") return true;
    const version = lease.metadata.resourceVersion!;
    if (this.#seen?.version !== version) this.#seen = { version, sinceMs: performance.now() };
    return performance.now() - this.#seen.sinceMs >= this.#timing.leaseMs;
  }

  /** From when the request was made: the server may have carried it out at once. */
  #lead(askedAtMs: number): void {
    const { leaseMs, marginMs } = this.#timing;
    this.#untilMs = askedAtMs + leaseMs - marginMs;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#resign(), Math.max(0, this.leftMs));
    this.#timer.unref();
    if (this.#isLeading) return;
    this.#isLeading = true;
    this.#options.onChange(true);
  }

  #resign(): void {
    clearTimeout(this.#timer);
    this.#untilMs = Number.NEGATIVE_INFINITY;
    if (!this.#isLeading) return;
    this.#isLeading = false;
    this.#options.onChange(false);
  }

  get #path(): string {
    return `/apis/coordination.k8s.io/v1/namespaces/${this.#options.namespace}/leases`;
  }

  async #read(): Promise<KubeObject | undefined> {
    try {
      const path = `${this.#path}/${this.#options.name}`;
      return await this.#options.client.request({ ...REQUEST, method: "GET", path });
    } catch (error) {
      if (error instanceof ApiError && error.isNotFound) return undefined;
      throw error;
    }
  }

  async #create(): Promise<void> {
    const body = {
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: this.#options.name },
      spec: { ...this.#newSpec(undefined), leaseTransitions: 0 },
    };
    await this.#options.client.carryOut({ ...REQUEST, method: "POST", path: this.#path, body });
  }

  async #release(): Promise<void> {
    const lease = await this.#read();
    if ((lease?.spec as LeaseSpec | undefined)?.holderIdentity !== this.#options.identity) return;
    await this.#write(lease!.metadata.resourceVersion!, { holderIdentity: null });
  }

  /** Refused with a conflict when the Lease is not at that version any more. */
  #write(version: string, spec: Record<string, unknown>): Promise<void> {
    return this.#options.client.carryOut({
      ...REQUEST,
      method: "PATCH",
      path: `${this.#path}/${this.#options.name}`,
      contentType: "application/merge-patch+json",
      body: { metadata: { resourceVersion: version }, spec },
    });
  }

  #newSpec(acquiredAt: string | undefined): LeaseSpec {
    const now = microTime();
    return {
      holderIdentity: this.#options.identity,
      leaseDurationSeconds: Math.ceil(this.#timing.leaseMs / 1_000),
      acquireTime: acquiredAt ?? now,
      renewTime: now,
    };
  }
}
