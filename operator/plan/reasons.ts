/**
 * Every reason that a condition may give, and what it means. docs/runbook.md has a section for each,
 * and those that need a person have an alert rule (tools/alert-rules.ts); a test compares the three.
 */
export const REASONS = {
  // Ready
  AllServe: "everything serves and is caught up",
  NotReadyYet: "it is being set up",
  PodsMissing: "pods are missing or not ready",
  DataCenterMissing: "there is no DataCenter of that name in the namespace",
  GroupMissing: "no KVGroup of number 1 names this DataCenter",
  NumberTaken: "two KVGroups of a DataCenter have the same number",
  CampusMissing: "no Campus object names a campus of this DataCenter",
  ZoneMismatch: "Campus and DataCenter name different zones for the same campus",
  LimitsRefused: "spec.limits names callers that processes would refuse",
  Paused: "changes are paused",
  // Degraded
  ReplicaDown: "a replica does not answer",
  ReplicaUnready: "a replica answers and must not be counted on",
  ReplicaPending: "a replica's pod has no place to run",
  VolumeMissing: "the volume of a replica, or of queue logs, is gone; a person must say what now",
  QuorumLost: "two replicas are away: the group's data cannot be read or written",
  Whole: "nothing is missing",
  // Progressing
  RollingOut: "pods are being replaced, campus after campus",
  RolloutWaits: "the next campus waits for something",
  RolloutStalled: "the campus being replaced does not come up",
  Bootstrapping: "the first disks are being made",
  Replacing: "a replica, or a campus's queue logs, get a new disk",
  ReplaceWaits: "a disk is to be replaced, and the others are not ready for it",
  MovingSlots: "slots are being moved between groups",
  Expanding: "volumes are growing",
  Done: "nothing is under way",
  ObjectRefused: "the API server refuses an object; everything else goes on",
  EvictionRefused:
    "a pod may not be taken away now, by a budget as a rule; the roll waits, all else goes on",
  PlanRefused: "the plan would have disturbed what must not be disturbed: nothing was done",
  // HighlyAvailable
  ThreeZones: "three zones, each with what it needs",
  DevProfile: "profile Dev: for trying out",
  ZoneMissing: "a zone has no node that could run pods",
  // CertificatesFresh
  CertificatesRenewed: "certificates between pods are renewed in time",
  CertificatesAgeing: "certificates between pods near their end and are not renewed",
  // Blocked
  BlockedByTable: "the control table says so",
  NotBlocked: "it takes part in routing",
  OtherCampusBlocked: "another campus is blocked: two at once are refused",
  BlockRefused: "the control table refused the block",
  BlockWaits: "the block waits until the other campuses can be relied on",
  BlockEnded: "the block of this object has ended, or was ended by somebody",
  TableUnreachable: "the control table cannot be read",
  // CapacitySufficient
  TwoCanCarry: "two campuses can carry what was measured at the peak",
  TwoCannotCarry: "without another campus this one would be too busy",
  NotMeasured: "nothing was measured yet",
  // Placed
  AllApart: "all pods are where they should be",
  Misplaced: "pods that should be apart share a zone, a rack or a node",
} as const;

export type Reason = keyof typeof REASONS;
