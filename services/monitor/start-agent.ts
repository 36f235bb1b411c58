/** The agent as the supervisor of a campus runs it: it outlives every process whose points it reads. */
import { Centre } from "../../protos/gen/tricampus/monitor/v1/centre_codec.ts";
import { Client, type ServiceAddress } from "../svrkit/client.ts";
import { Credentials, type TlsFiles } from "../svrkit/tls/credentials.ts";
import { AGENT_IDENTITY } from "../svrkit/tls/identity.ts";
import { MonitorAgent } from "./agent.ts";

const REPORT_MS = 5_000;

interface AgentFacts {
  readonly campus: string;
  readonly folder: string;
  readonly centre: readonly ServiceAddress[];
  readonly tls: TlsFiles | undefined;
  readonly plaintext: boolean;
  readonly say: (text: string) => void;
}

/** Returns what stops it. */
export function startAgent({ campus, centre, tls, plaintext, ...facts }: AgentFacts) {
  const credentials = tls && new Credentials(tls);
  credentials?.watch();
  const identity = { process: `${campus}/agent`, campus };
  const client = new Client(identity, undefined, { credentials, plaintext });
  const callee = client.callee("monitor", centre, { caller: AGENT_IDENTITY });
  const agent = new MonitorAgent({
    ...{ campus, now: Date.now, ...facts },
    report: (request) => callee.call(Centre.report, request, { timeoutMs: REPORT_MS }),
  });
  agent.start();
  return async () => {
    await agent.stop();
    client.stop();
    credentials?.stop();
  };
}
