/** From what is mounted and told to a pod to the configuration of its process. Pure. */
import { join } from "node:path";
import { checkedAgainst } from "../checked.ts";
import type { ProcessConfig } from "../process-config.ts";
import { POD_FILES, podProcessSchema } from "./files.ts";

export interface PodFacts {
  /** Where files are mounted, and where the data volume is. */
  readonly filesDir: string;
  readonly dataDir: string;
  readonly campus: string;
  /** Where its doors listen. */
  readonly host: string;
  /** The pod's name, unique in its time. */
  readonly pod: string;
  /** Names of the private keys mounted: files `<id>.pem`. */
  readonly signingKeys: readonly string[];
  /** Certificates are mounted. */
  readonly tls: boolean;
}

/** `input`: what the file "process" says. */
export function composeProcess(input: unknown, facts: PodFacts): ProcessConfig {
  const { filesDir, dataDir, campus, pod, tls } = facts;
  const told = checkedAgainst(podProcessSchema, input, POD_FILES.process);
  if (!told.campuses.includes(campus)) {
    throw new Error(
      `TRICAMPUS_CAMPUS: "${campus}" is no campus; there are ${told.campuses.join(", ")}`,
    );
  }
  const { dc, campuses, logLevel, doors, healthPort, ephemeral, plaintext } = told;
  const services = doors.flatMap((door) => door.services);
  const name = `${campus}/${told.process}-${podSuffix(pod)}`;
  return {
    name,
    dc,
    campus,
    campuses,
    host: facts.host,
    logLevel,
    doors,
    services: services.map((service) => ({
      name: service,
      dataDir: join(dataDir, service),
      options: { ...ownOptions(service, told, facts), ...told.options[service] },
    })),
    addresses: {} as ProcessConfig["addresses"],
    ticketKeyFiles: {},
    ticketKeysDir: join(filesDir, POD_FILES.ticketKeys),
    snapshotSecretFile: join(filesDir, POD_FILES.snapshotSecret),
    limitsFile: join(filesDir, POD_FILES.limits),
    limitsCopyFile: join(dataDir, "limits.json"),
    blocksFile: join(dataDir, "blocks.json"),
    healthPort,
    ephemeral,
    ...(tls && { tls: tlsFiles(join(filesDir, POD_FILES.tls)) }),
    plaintext,
  };
}

function tlsFiles(dir: string): NonNullable<ProcessConfig["tls"]> {
  return {
    caFile: join(dir, "ca.crt"),
    certFile: join(dir, "tls.crt"),
    keyFile: join(dir, "tls.key"),
  };
}

function ownOptions(
  service: string,
  { clientPort, adminPort }: { clientPort?: number | undefined; adminPort?: number | undefined },
  { filesDir, host, signingKeys }: PodFacts,
): Record<string, unknown> {
  if (service === "access") return { host, port: clientPort };
  if (service === "admin") return { host, port: adminPort };
  if (service !== "account") return {};
  const keyId = signingKeys.toSorted().at(-1);
  if (keyId === undefined) throw new Error(`${POD_FILES.ticketSigning}: no private key is there`);
  const privateKeysDir = join(filesDir, POD_FILES.ticketSigning);
  const privateKeyFile = join(privateKeysDir, `${keyId}.pem`);
  const apiKeysFile = join(filesDir, POD_FILES.apiKeys);
  return { keyId, privateKeyFile, privateKeysDir, apiKeysFile };
}

/** "logic-a-7d9fbc-x2x7k" is told apart by its last parts. */
function podSuffix(pod: string): string {
  return pod.split("-").slice(-2).join("-");
}
