/**
 * What is to be done about the volumes of the queue's logs: the first ones, the replacement of one, and what is missed.
 * As of a KV group's replicas (kv-group.ts): a log that lost its disk has forgotten what it granted. Both logs of a
 * campus are on one volume; with profile Dev it is that of the first group's replica, and replaced with it. Pure.
 */
import type { Permits } from "../../services/platform/pod/files.ts";
import { QUEUE_LOGS } from "../../services/platform/services.ts";
import type { DataCenterStatus } from "../api/data-center.ts";
import { nameOf, type Site } from "../manifests/site.ts";
import { firstDisks } from "./kv-group.ts";
import { childKey, kvWorkload, type Observed } from "./observed.ts";
import {
  isRemade,
  isReplacedNow,
  mayRebuild,
  planReplacement,
  type Replacement,
  tokenOf,
} from "./replacement.ts";

export const LOGS_WORKLOAD = "queuelog";

export interface LogsPlan extends Replacement {
  readonly bootstrap: DataCenterStatus["bootstrap"];
  /** During the bootstrap: campuses whose logs have been ready. */
  readonly made: readonly string[];
  readonly permits: Permits;
  /** Campuses whose volume may be made or changed. */
  readonly volumes: readonly string[];
  /** Campuses whose volume is not there and must not be made. */
  readonly lost: readonly string[];
}

export function planLogs(observed: Observed, site: Site): LogsPlan {
  const { children, pods, dataCenter } = observed;
  const { status, spec } = dataCenter;
  const isDev = spec.profile === "Dev";
  const claims = new Map(
    spec.campuses.map(({ name: campus }) => {
      const name = nameOf(site, LOGS_WORKLOAD, campus);
      return [campus, children.get(childKey("PersistentVolumeClaim", name))];
    }),
  );
  const replacement = planReplacement(observed, {
    ...{ wanted: isDev ? undefined : spec.replaceLogs, before: status.replacedLogs, claims },
    ...{ isPaused: spec.paused, workload: LOGS_WORKLOAD },
    weakness: (campus) => {
      const pod = pods.find((one) => one.workload === LOGS_WORKLOAD && one.campus === campus);
      if (pod?.isReady === true && !pod.isLeaving) return undefined;
      return `the queue logs in campus ${campus} are not ready`;
    },
  });
  const { replaced } = replacement;
  const isMaking = status.bootstrap === "Permitted";
  const noted = status.made ?? [];
  const first = firstDisks(isMaking ? QUEUE_LOGS : [], noted);
  const rebuild = mayRebuild(replaced, claims)
    ? QUEUE_LOGS.map((service) => {
        return { service, campus: replaced.campus, token: tokenOf(replaced) };
      })
    : [];
  const campuses = [...claims.keys()];
  const volumes = campuses.filter(
    (campus) =>
      (isMaking && !noted.includes(campus)) ||
      claims.get(campus) !== undefined ||
      isRemade(status.replacedLogs, campus),
  );
  const { bootstrap, made } = nextBootstrap(observed);
  const isBegun = (campus: string) => bootstrap !== "Permitted" || made.includes(campus);
  const isLost = (campus: string) =>
    isBegun(campus) && !volumes.includes(campus) && !isReplacedNow(replaced, campus);
  const permits = { ...first, ...(rebuild.length > 0 && { rebuild }) };
  const lost = isDev ? [] : campuses.filter(isLost);
  return { ...replacement, bootstrap, made, permits, volumes, lost };
}

/** As of a KV group: noted before any volume exists, over when all are ready. */
function nextBootstrap({
  dataCenter,
  children,
  pods,
}: Observed): Pick<LogsPlan, "bootstrap" | "made"> {
  const { status, spec } = dataCenter;
  const before = status.bootstrap;
  const isThere = [...children.values()].some(
    (child) => child.kind === "PersistentVolumeClaim" && child.workload === LOGS_WORKLOAD,
  );
  if (before === undefined) return { bootstrap: isThere ? "Adopted" : "Permitted", made: [] };
  if (before !== "Permitted") return { bootstrap: before, made: [] };
  const logs = spec.profile === "Dev" ? kvWorkload(1) : LOGS_WORKLOAD;
  const up = pods.filter((pod) => pod.workload === logs && pod.isReady);
  const made = new Set([...(status.made ?? []), ...up.map(({ campus }) => campus)]);
  return made.size === 3
    ? { bootstrap: "Done", made: [] }
    : { bootstrap: before, made: [...made].toSorted() };
}

export function lostLogsText(campus: string): string {
  return (
    `campus ${campus}: the volume of the queue's logs is gone, and empty ones have no right to vote; ` +
    "`tricampus queue rebuild` fills a new one from both others"
  );
}

/** With profile Dev: what may be done on the volume that the first group's replica shares with everything else. */
export function sharedPermits(group: Permits, logs: Permits): Permits {
  const both = [...(group.made ?? []), ...(logs.made ?? [])];
  const rebuild = (group.rebuild ?? []).flatMap((one) => [
    one,
    ...QUEUE_LOGS.map((service) => ({ ...one, service })),
  ]);
  return {
    ...group,
    bootstrap: [...(group.bootstrap ?? []), ...(logs.bootstrap ?? [])],
    ...(both.length > 0 && { made: both }),
    ...(rebuild.length > 0 && { rebuild }),
  };
}
