/**
 * The credentials of a data centre: the key pair that signs tickets and the secret that seals
 * snapshots, in one Secret. Made once, by create alone, so that nothing that is in use is ever replaced;
 * never listed. It belongs to nobody, as the volumes do: without it, what lies on them has no key.
 */
import { randomBytes } from "../../services/svrkit/random.ts";
import { newTicketKeys } from "../../services/svrkit/ticket/sign.ts";
import { ApiError, type Requests } from "../kube/api-client.ts";
import { apiVersionOf, pathOf } from "../kube/api-paths.ts";
import { CREDENTIAL, credentialsName, labelsOf, TICKET_KEYS } from "../manifests/site.ts";

const SNAPSHOT_SECRET_BYTES = 32;

interface CredentialsParts {
  readonly client: Requests;
  readonly namespace: string;
}

export async function makeCredentials(
  { client, namespace }: CredentialsParts,
  dataCenter: string,
): Promise<void> {
  const { publicKey, privateKey } = newTicketKeys();
  const contents = {
    [CREDENTIAL.ticketPublic(TICKET_KEYS[0])]: publicKey,
    [CREDENTIAL.ticketPrivate(TICKET_KEYS[0])]: privateKey,
    [CREDENTIAL.snapshotSecret]: randomBytes(SNAPSHOT_SECRET_BYTES).toString("hex"),
  };
  const data = Object.entries(contents).map(([name, text]) => [
    name,
    Buffer.from(text).toString("base64"),
  ]);
  const site = { name: dataCenter };
  const body = {
    apiVersion: apiVersionOf("Secret"),
    kind: "Secret",
    metadata: { name: credentialsName(site), labels: labelsOf(site) },
    type: "Opaque",
    data: Object.fromEntries(data),
  };
  try {
    await client.carryOut({ method: "POST", path: pathOf("Secret", namespace), body });
  } catch (error) {
    if (error instanceof ApiError && error.isConflict) return; // somebody was first: theirs count
    throw error;
  }
}

export async function hasCredentials(
  { client, namespace }: CredentialsParts,
  dataCenter: string,
): Promise<boolean> {
  const path = pathOf("Secret", namespace, credentialsName({ name: dataCenter }));
  try {
    await client.carryOut({ method: "GET", path });
    return true;
  } catch (error) {
    if (error instanceof ApiError && error.isNotFound) return false;
    throw error;
  }
}
