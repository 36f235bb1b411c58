/** What the load's processes say to each other: every order is answered once; seconds come by themselves. */
import type { Endpoint } from "../../sdk/endpoints.ts";
import type { HistogramCounts } from "../ledger/histogram.ts";
import type { Profile } from "./profile.ts";

/** What a generator is started with. */
export interface GeneratorTask {
  readonly run: string;
  readonly profile: Profile;
  readonly endpoints: readonly Endpoint[];
  /** Where the devices' files go; undefined: they keep nothing (nothing is sent). */
  readonly storesDir: string | undefined;
  /** This one of so many; users fall to generators in turn. */
  readonly index: number;
  readonly generators: number;
}

export interface Phase {
  readonly number: number;
  readonly sendsPerSecond: number;
  readonly seconds: number;
  /** Milliseconds since 1970. */
  readonly startAtMs: number;
}

export type Order =
  /** Registers its users and connects those that are online; answers with their ids. */
  | { readonly kind: "open"; readonly task: GeneratorTask }
  /** The ids of all users: makes its groups and contacts; answers with the groups' ids. */
  | { readonly kind: "meet"; readonly userIds: readonly string[] }
  /** The ids of all groups: sends; answers when whoever sent was told: of an outcome, or of none yet. */
  | { readonly kind: "phase"; readonly phase: Phase; readonly groupIds: readonly string[] }
  /** Answers when no send of its users is open any more: what nobody answers is given up. */
  | { readonly kind: "quiet" }
  /** Every user syncs. */
  | { readonly kind: "sync" }
  /** Some of the users read some of their conversations. */
  | { readonly kind: "read" }
  /** Writes down what the devices show as unread, and closes them. */
  | { readonly kind: "close" };

/** [index, id] */
export type Named = readonly (readonly [number, string])[];

/** What happened since the last one. */
export interface Second {
  readonly acknowledged: number;
  readonly failed: number;
  /** Arrivals at online devices, and how many more there are to come. */
  readonly arrived: number;
  readonly expected: number;
  readonly reconnected: number;
  readonly acknowledgeMs: HistogramCounts;
  readonly deliverMs: HistogramCounts;
  readonly reconnectMs: HistogramCounts;
  readonly loginMs: HistogramCounts;
  /** Of those that were offline: the sync at the end. */
  readonly syncMs: HistogramCounts;
  /** Open sends that were given up at the end. */
  readonly givenUp: number;
  /** Syncs at the end that did not get past an own message that is on its way. */
  readonly syncsBehind: number;
  /** How late the generator itself was, at most, ms. */
  readonly lateMs: number;
  /** Users that are ready, during `open` and `sync`. */
  readonly ready: number;
  /** The first failures in words. */
  readonly failures: readonly string[];
}

export type Report =
  | { readonly kind: "second"; readonly second: Second }
  | { readonly kind: "done"; readonly named?: Named }
  | { readonly kind: "failed"; readonly why: string };
