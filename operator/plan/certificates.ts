/** Which certificates are to be issued, and what to say when that has not been done for long. Pure. */
import type { Action } from "./actions.ts";
import { type Statement, say, timeText } from "./conditions.ts";
import { AUTHORITY_HEARD_MS, type Observed } from "./observed.ts";
import { type PlannedWorkload, wantedCertificates } from "./workloads.ts";

/**
 * Those that are missing, name other services, or near their end. Time does not stop while nothing may be changed: what
 * there is, is for pods as they are then, and renewed with the services that it names.
 */
export function certificateActions(
  { certificates, authoritySinceMs, nowMs, dataCenter }: Observed,
  { workloads, isFrozen }: { workloads: readonly PlannedWorkload[]; isFrozen: boolean },
): Action[] {
  if (certificates === undefined || dataCenter.spec.tls.mode === "Plain") return [];
  if (nowMs < authoritySinceMs + AUTHORITY_HEARD_MS) return [];
  const wanted = new Map(wantedCertificates(workloads));
  if (isFrozen) for (const [name, { services }] of certificates) wanted.set(name, services);
  const due = [...wanted].filter(([name, services]) => {
    const known = certificates.get(name);
    if (known === undefined || known.renewAtMs <= nowMs) return true;
    return known.services.join() !== services.toSorted().join();
  });
  if (due.length === 0) return [];
  const why = "missing, or near their end";
  return [{ act: "issue-certificates", wanted: new Map(due), atMs: nowMs, why }];
}

/** Nothing where there are none, or they have not been read. */
export function ageing({ certificates, nowMs }: Observed): Statement[] {
  if (certificates === undefined) return [];
  const old = [...certificates].filter(([, { oldAtMs }]) => oldAtMs <= nowMs);
  const [first] = old.toSorted(([, a], [, b]) => a.endsAtMs - b.endsAtMs);
  if (first === undefined)
    return [say("CertificatesFresh", true, "CertificatesRenewed", "all are renewed in time")];
  const [name, { endsAtMs }] = first;
  const message =
    `${old.length} of ${certificates.size} have less than a quarter of their life left, and are not renewed; ` +
    `${name} ends ${timeText(endsAtMs)}, and then calls between pods fail`;
  return [say("CertificatesFresh", false, "CertificatesAgeing", message)];
}
