/** gRPC's TLS with the certificates that svrkit's own doors use, renewed with them. */
import { ServerCredentials } from "@grpc/grpc-js";
import type { Credentials } from "../tls/credentials.ts";

class RenewedServerCredentials extends ServerCredentials {
  constructor(credentials: Credentials) {
    super(
      { requestCert: true, rejectUnauthorized: true, minVersion: "TLSv1.3" },
      contextOf(credentials.material),
    );
    credentials.onChange((material) => this.updateSecureContextOptions(contextOf(material)));
  }

  _equals(other: ServerCredentials): boolean {
    return this === other;
  }
}

function contextOf({ ca, cert, key }: Credentials["material"]) {
  return { ca, cert, key, minVersion: "TLSv1.3" } as const;
}

/** undefined: plain. */
export function serverCredentials(credentials: Credentials | undefined): ServerCredentials {
  return credentials === undefined
    ? ServerCredentials.createInsecure()
    : new RenewedServerCredentials(credentials);
}
