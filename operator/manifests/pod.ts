/** The pods of a workload: one template a campus, the same but for where it is. Pure. */
import { POD_DATA_DIR, POD_FILES, POD_FILES_DIR } from "../../services/platform/pod/files.ts";
import type { Resources } from "../api/schema.ts";
import { BESIDE_DATA, type Beside, engineSecrets, NATS_CONFIG } from "./engine-servers.ts";
import { hookSecrets } from "./hooks.ts";
import { canonicalQuantity } from "./quantity.ts";
import {
  CREDENTIAL,
  credentialsName,
  labelsOf,
  nameOf,
  type Site,
  selectorOf,
  TICKET_KEYS,
  TLS_FILE,
  tlsName,
  ZONE_LABEL,
} from "./site.ts";

/** Of every Tricampus pod; each has an address of its own, so all can be the same. */
export const PORT = {
  client: 7100,
  door: 7101,
  secondDoor: 7102,
  admin: 7110,
  health: 7199,
} as const;

/** The user that the image was made for (Dockerfile). */
const USER = 10_001;
/** Processes stop within 8 s (svrkit/lifecycle.ts), after clients were sent away. */
const STOP_SECONDS = 30;

/** Where a mounted file's name ends up: the folder of POD_FILES. */
type Mounted = keyof typeof POD_FILES;

export const LIMITS_KEY = "limits.json";

export interface Workload {
  /** "logic", "kvsvr-1" */
  readonly name: string;
  readonly services: readonly string[];
  readonly resources: Resources;
  /** Pods a campus. */
  readonly perCampus: number;
  /** What it mounts beside its configuration and everybody's addresses. */
  readonly mounts: readonly Exclude<Mounted, "process" | "addresses" | "limits">[];
  /** It has a volume of its own, which outlives every pod. */
  readonly isStateful: boolean;
  readonly ports: readonly number[];
  /** Two pods at once would be in each other's way. */
  readonly isAlone: boolean;
  /** Name of its certificate. */
  readonly certificate: string;
  /** Servers of others in its pods. */
  readonly beside: readonly Beside[];
}

export function podTemplate(site: Site, workload: Workload, campus: string) {
  const zone = site.spec.campuses.find(({ name }) => name === campus)!.zone;
  const { imagePullSecrets } = site.spec;
  return {
    metadata: { labels: labelsOf(site, workload.name, campus) },
    spec: {
      automountServiceAccountToken: false,
      enableServiceLinks: false,
      terminationGracePeriodSeconds: STOP_SECONDS,
      ...(imagePullSecrets !== undefined && { imagePullSecrets }),
      securityContext: {
        runAsNonRoot: true,
        runAsUser: USER,
        runAsGroup: USER,
        fsGroup: USER,
        fsGroupChangePolicy: "OnRootMismatch",
        seccompProfile: { type: "RuntimeDefault" },
      },
      affinity: { nodeAffinity: inZone(zone, site.spec.profile) },
      ...(workload.isStateful
        ? { tolerations: FOR_EVER }
        : { topologySpreadConstraints: [overNodes(site, workload, campus)] }),
      ...(workload.beside.length > 0 && { initContainers: workload.beside.map(serverContainer) }),
      containers: [container(site, workload, campus)],
      volumes: volumesOf(site, workload, campus),
    },
  };
}

/** With profile Dev one zone is enough, so the only node may have no label at all. */
function inZone(zone: string, profile: Site["spec"]["profile"]) {
  const inIt = { key: ZONE_LABEL, operator: "In", values: [zone] };
  const term = { matchExpressions: [inIt] };
  return profile === "Dev"
    ? { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 100, preference: term }] }
    : { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [term] } };
}

/** A node that is silent is not a disk that is gone: the pod stays bound to both until a person acts. */
const FOR_EVER = ["not-ready", "unreachable"].map((trouble) => ({
  key: `node.kubernetes.io/${trouble}`,
  operator: "Exists",
  effect: "NoExecute",
}));

function overNodes(site: Site, { name }: Workload, campus: string) {
  return {
    topologyKey: "kubernetes.io/hostname",
    whenUnsatisfiable: "ScheduleAnyway",
    maxSkew: 1,
    labelSelector: { matchLabels: selectorOf(site, name, campus) },
  };
}

function container(site: Site, workload: Workload, campus: string) {
  const probe = (path: string, often: Record<string, number>) => ({
    httpGet: { path, port: PORT.health },
    ...often,
  });
  return {
    name: "tricampus",
    image: site.image,
    env: [
      {
        name: "POD_NAME",
        valueFrom: { fieldRef: { apiVersion: "v1", fieldPath: "metadata.name" } },
      },
      { name: "TRICAMPUS_CAMPUS", value: campus },
    ],
    ports: [...workload.ports, PORT.health].map((port) => ({
      containerPort: port,
      protocol: "TCP",
    })),
    resources: canonicalResources(workload.resources),
    // A busy process is slow to answer and must not be killed for it.
    livenessProbe: probe("/livez", { periodSeconds: 10, timeoutSeconds: 5, failureThreshold: 6 }),
    readinessProbe: probe("/readyz", { periodSeconds: 2, timeoutSeconds: 2, failureThreshold: 2 }),
    securityContext: CONFINED,
    volumeMounts: [
      { name: "data", mountPath: POD_DATA_DIR },
      ...mountsOf(site, workload).map((file) => ({
        name: volumeName(file),
        mountPath: `${POD_FILES_DIR}/${folderOf(file)}`,
        readOnly: true,
      })),
    ],
  };
}

const CONFINED = {
  allowPrivilegeEscalation: false,
  readOnlyRootFilesystem: true,
  capabilities: { drop: ["ALL"] },
};

/** An init container that is started again whenever it ends is there before the services and after them. */
function serverContainer({ name, image, command, resources, volume, text }: Beside) {
  const mounts = [
    ...(volume === undefined ? [] : [{ name: "data", mountPath: BESIDE_DATA, subPath: volume }]),
    ...(text === undefined
      ? []
      : [{ name: BESIDE_CONFIG, mountPath: NATS_CONFIG.dir, readOnly: true }]),
  ];
  return {
    name,
    image,
    command,
    restartPolicy: "Always",
    resources: canonicalResources(resources),
    securityContext: CONFINED,
    // An API server keeps no empty list, so one that is wanted would be missed for ever.
    ...(mounts.length > 0 && { volumeMounts: mounts }),
  };
}

const BESIDE_CONFIG = "beside";

function canonicalResources({ requests, limits }: Resources) {
  const canonical = (amounts: Resources["requests"]) =>
    Object.fromEntries(
      Object.entries(amounts ?? {}).map(([name, amount]) => [name, canonicalQuantity(amount)]),
    );
  return {
    ...(requests !== undefined && { requests: canonical(requests) }),
    ...(limits !== undefined && { limits: canonical(limits) }),
  };
}

function mountsOf({ spec }: Site, { mounts }: Workload): Mounted[] {
  return [
    "process",
    "addresses",
    ...mounts,
    "limits",
    ...(spec.tls.mode === "Own" ? (["tls"] as const) : []),
  ];
}

function folderOf(file: Mounted): string {
  return POD_FILES[file].split("/")[0]!;
}

function volumeName(file: Mounted): string {
  return folderOf(file);
}

function volumesOf(site: Site, workload: Workload, campus: string) {
  const own = nameOf(site, workload.name);
  const fromConfig = (name: string, key: string, more: { optional?: true } = {}) => ({
    configMap: { name, defaultMode: READ_ONLY, items: [{ key, path: key }], ...more },
  });
  const fromSecret = (key: string, path: string) => ({
    secret: { secretName: credentialsName(site), defaultMode: READ_ONLY, items: [{ key, path }] },
  });
  // Optional, so that the next key reaches pods that run, and the last one leaves them.
  const ticketKeys = (keyOf: (id: string) => string) => {
    const items = TICKET_KEYS.map((id) => ({ key: keyOf(id), path: `${id}.pem` }));
    const secretName = credentialsName(site);
    return { secret: { secretName, defaultMode: READ_ONLY, items, optional: true } };
  };
  const known = { ...engineSecrets(site.spec), ...hookSecrets(site.spec) };
  const foreign = (file: keyof typeof known) => ({
    secret: { secretName: known[file], defaultMode: READ_ONLY },
  });
  const { certificate, beside } = workload;
  const tlsItems = [
    { key: TLS_FILE.ca, path: "ca.crt" },
    { key: TLS_FILE.cert(certificate), path: "tls.crt" },
    { key: TLS_FILE.key(certificate), path: "tls.key" },
  ];
  const sources: Record<Mounted, object> = {
    process: fromConfig(own, "process.json"),
    permits: fromConfig(own, "permits.json"),
    addresses: fromConfig(nameOf(site, "addresses"), "addresses.json"),
    // Mounted before there are any: the first ones reach pods that run, and none is replaced for them.
    limits: fromConfig(nameOf(site, "limits"), LIMITS_KEY, { optional: true }),
    ticketKeys: ticketKeys(CREDENTIAL.ticketPublic),
    ticketSigning: ticketKeys(CREDENTIAL.ticketPrivate),
    apiKeys: {
      secret: { secretName: nameOf(site, "api-keys"), defaultMode: READ_ONLY, optional: true },
    },
    tls: { secret: { secretName: tlsName(site), defaultMode: READ_ONLY, items: tlsItems } },
    clientTls: foreign("clientTls"),
    natsSecret: foreign("natsSecret"),
    redisSecret: foreign("redisSecret"),
    s3Secret: foreign("s3Secret"),
    beforeSendSecret: foreign("beforeSendSecret"),
    eventsSecret: foreign("eventsSecret"),
    pushesSecret: foreign("pushesSecret"),
    snapshotSecret: fromSecret(CREDENTIAL.snapshotSecret, POD_FILES.snapshotSecret.split("/")[1]!),
  };
  const data = workload.isStateful
    ? { persistentVolumeClaim: { claimName: nameOf(site, workload.name, campus) } }
    : { emptyDir: { sizeLimit: EPHEMERAL_SIZE } };
  return [
    { name: "data", ...data },
    ...mountsOf(site, workload).map((file) => ({ name: volumeName(file), ...sources[file] })),
    ...(beside.some(({ text }) => text !== undefined)
      ? [{ name: BESIDE_CONFIG, ...fromConfig(own, NATS_CONFIG.file) }]
      : []),
  ];
}

/** For the owner and the group that the process runs as. */
const READ_ONLY = 0o440;
const EPHEMERAL_SIZE = "1Gi";
