/** What Prometheus scrapes of an operator: of itself always, of the platform from the one that acts. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import type { Condition } from "./api/schema.ts";
import type { ApiClient } from "./kube/api-client.ts";
import type { Operator } from "./operator.ts";
import type { Action } from "./plan/actions.ts";

/** A round waits for the API server, once an object that it writes. */
const ROUND_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

interface Told {
  readonly name: string;
  readonly status: { conditions?: Condition[] | undefined; state?: string | undefined };
}

interface Sources {
  readonly operator: Pick<Operator, "cluster" | "depth">;
  readonly client: Pick<ApiClient, "sent">;
}

export class OperatorMetrics {
  readonly #registry = new Registry();
  readonly #rounds = new Histogram({
    name: "tricampus_operator_round_seconds",
    help: "How long rounds of looking, planning and carrying out took.",
    labelNames: ["result"],
    buckets: ROUND_SECONDS,
    registers: [this.#registry],
  });
  readonly #actions = new Counter({
    name: "tricampus_operator_actions_total",
    help: "Actions carried out.",
    labelNames: ["act"],
    registers: [this.#registry],
  });

  round(seconds: number, result: "ok" | "failed"): void {
    this.#rounds.observe({ result }, seconds);
  }

  acted({ act }: Action): void {
    this.#actions.inc({ act });
  }

  /** What can be read at any time is read when it is asked for. */
  follow({ operator, client }: Sources): void {
    const { cluster } = operator;
    this.#gauge("operator_acting", "1: this operator acts; 0: it stands by.", [], (set) =>
      set({}, operator.depth === undefined ? 0 : 1),
    );
    this.#gauge("operator_queue_depth", "Data centres that wait or are worked on.", [], (set) =>
      set({}, operator.depth ?? 0),
    );
    const ages = "How old what is known of a kind may be.";
    this.#gauge("operator_watch_age_seconds", ages, ["kind"], (set) => {
      for (const { kind, ageMs } of cluster.ages())
        if (Number.isFinite(ageMs)) set({ kind }, ageMs / 1_000);
    });
    const lists = "How often a kind was listed since the start.";
    this.#gauge("operator_lists", lists, ["kind"], (set) => {
      for (const one of cluster.ages()) set({ kind: one.kind }, one.lists);
    });
    const failures = "How often watching a kind failed since the start.";
    this.#gauge("operator_watch_failures", failures, ["kind"], (set) => {
      for (const one of cluster.ages()) set({ kind: one.kind }, one.failures);
    });
    const requests = "Requests sent to the API server since the start.";
    this.#gauge("operator_requests", requests, ["method"], (set) => {
      for (const [method, count] of Object.entries(client.sent)) set({ method }, count);
    });
    this.#followPlatform(operator);
  }

  /** From the one that acts alone: three would tell the same at different times. */
  #followPlatform(operator: Sources["operator"]): void {
    const { cluster } = operator;
    const each = (tell: (dataCenter: string, kind: string, one: Told) => void) => {
      if (operator.depth === undefined) return;
      for (const [name, dataCenter] of cluster.dataCenters) {
        tell(name, "DataCenter", dataCenter);
        const { campuses, groups } = cluster.inside(name);
        for (const campus of campuses.values()) tell(name, "Campus", campus);
        for (const group of groups.values()) tell(name, "KVGroup", group);
      }
    };
    const where = ["data_center", "kind", "name"];
    const help = "1: this condition of an object is what the labels say.";
    this.#gauge("condition", help, [...where, "type", "status", "reason"], (set) =>
      each((data_center, kind, { name, status }) => {
        for (const { type, status: is, reason } of status.conditions ?? [])
          set({ data_center, kind, name, type, status: is, reason }, 1);
      }),
    );
    this.#gauge("campus_state", "1: this is the campus's state.", [...where, "state"], (set) =>
      each((data_center, kind, { name, status }) => {
        if (kind === "Campus" && status.state !== undefined)
          set({ data_center, kind, name, state: status.state }, 1);
      }),
    );
  }

  text(): Promise<string> {
    return this.#registry.metrics();
  }

  #gauge(
    name: string,
    help: string,
    labelNames: string[],
    collect: (set: (labels: Record<string, string>, value: number) => void) => void,
  ): void {
    new Gauge({
      name: `tricampus_${name}`,
      help,
      labelNames,
      registers: [this.#registry],
      collect() {
        this.reset();
        collect((labels, value) => this.set(labels, value));
      },
    });
  }
}
