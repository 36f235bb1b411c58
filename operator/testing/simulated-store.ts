/**
 * A store as the operator sees it: replicas say what they are asked to say, or that they are well when
 * their pod is ready; a control table that decides as the real one does; slots that move at once.
 */
import { planBlock, planUnblock } from "../../services/control/plan/blocks.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import { KEYSPACES } from "../api/kv-group.ts";
import type { StoreFacts, StoreLink, StorePlace, StoreTables } from "../observe/store-link.ts";
import type { ReplicaWord } from "../plan/observed.ts";
import { nodeOf, type SimulatedCluster } from "./api-double/controllers.ts";
import { isReady } from "./api-double/disruptions.ts";

type Block = Parameters<typeof planBlock>[1];

const SLOTS = 4_096;

export class SimulatedStore {
  readonly #cluster: SimulatedCluster;
  /** By "kvsvr-1/a": what the replica says whatever its pod does. */
  readonly said = new Map<string, string | undefined>();
  blocks: readonly Block[] = [];
  /** By keyspace: slots of each group. */
  readonly slots: Record<string, number[]> = Object.fromEntries(
    KEYSPACES.map((keyspace) => [keyspace, [SLOTS]]),
  );
  isReadable = true;
  /** So long a replica that has gone is still said to be as it was: nobody has noticed. */
  lingersMs = 0;
  readonly #heard = new Map<string, { word: ReplicaWord; atMs: number }>();
  readonly audit: string[] = [];
  #changed = new Set<() => void>();

  constructor(cluster: SimulatedCluster) {
    this.#cluster = cluster;
  }

  /** For one operator; it looks every few milliseconds. */
  link(onChange: (dataCenter: string) => void, everyMs = 5): StoreLink {
    const places = new Map<string, StorePlace>();
    const shown = new Map<string, string>();
    const look = () => {
      for (const name of places.keys()) {
        const text = JSON.stringify(plain(this.#facts(places.get(name)!)));
        if (shown.get(name) === text) continue;
        shown.set(name, text);
        onChange(name);
      }
    };
    const timer = setInterval(look, everyMs);
    this.#changed.add(look);
    return {
      follow: (name, place) => void places.set(name, place),
      forget: (name) => void places.delete(name),
      facts: (name) => this.#facts(places.get(name)),
      tables: () => this.#tables(),
      stop: () => {
        clearInterval(timer);
        this.#changed.delete(look);
      },
    };
  }

  #facts(place: StorePlace | undefined): StoreFacts {
    const words = new Map<string, ReplicaWord>();
    for (const key of place?.doors.keys() ?? []) {
      if (key.startsWith("kvsvr-")) words.set(key, this.#word(key));
    }
    const nowMs = Date.now();
    const blocks = this.blocks
      .filter(({ untilMs }) => untilMs > nowMs)
      .map(({ campus, service, untilMs, why, who }) => {
        return { what: service === "" ? campus : `${campus}/${service}`, untilMs, why, who };
      });
    const table = { blocks, slots: structuredClone(this.slots), isMoving: false };
    return { words, table: this.isReadable ? table : undefined, busyPercent: new Map() };
  }

  #word(key: string): ReplicaWord {
    const [workload, campus] = key.split("/");
    const pod = this.#cluster.pods().find(({ metadata }) => {
      const labels = metadata.labels ?? {};
      return (
        labels["tricampus.dev/workload"] === workload && labels["tricampus.dev/campus"] === campus
      );
    });
    const of = { pod: pod?.metadata.uid ?? "" };
    if (this.said.has(key)) return { unready: this.said.get(key), ...of };
    const nowMs = performance.now();
    if (pod !== undefined && isReady(pod) && this.#cluster.isUp(nodeOf(pod))) {
      const word = { unready: "", ...of };
      this.#heard.set(key, { word, atMs: nowMs });
      return word;
    }
    const heard = this.#heard.get(key);
    const isLingering = heard !== undefined && nowMs - heard.atMs < this.lingersMs;
    return isLingering ? heard.word : { unready: undefined, ...of };
  }

  #tables(): StoreTables {
    const decide = (decision: ReturnType<typeof planBlock>, did: string): Block => {
      if (decision.verdict === "refused")
        throw new RpcError("FAILED_PRECONDITION", decision.reason);
      this.blocks = decision.blocks;
      this.audit.push(did);
      return decision.changed;
    };
    return {
      control: {
        block: async (target, { forMs, why, who, forced }) => {
          const nowMs = Date.now();
          const wanted = { ...target, untilMs: nowMs + forMs, why, who, setAtMs: nowMs, forced };
          const set = decide(
            planBlock(this.blocks, wanted, nowMs),
            `block ${target.campus} ${who}`,
          );
          return { ...set, what: target.campus, remainingMs: forMs };
        },
        unblock: async (target, who) => {
          const ended = decide(
            planUnblock(this.blocks, target, Date.now()),
            `unblock ${target.campus} ${who}`,
          );
          return { ...ended, what: target.campus, remainingMs: 0 };
        },
        blocks: async () =>
          this.blocks.map((block) => ({ ...block, what: block.campus, remainingMs: 1 })),
      },
      evenSlots: async (shares, why) => {
        for (const [keyspace, groups] of Object.entries(shares)) {
          const counts = Array.from({ length: Math.max(...groups) }, () => 0);
          for (let slot = 0; slot < SLOTS; slot++) counts[groups[slot % groups.length]! - 1]! += 1;
          this.slots[keyspace] = counts;
        }
        this.audit.push(`slots: ${why}`);
      },
    };
  }
}

function plain({ words, table }: StoreFacts) {
  return { words: [...words], table };
}
