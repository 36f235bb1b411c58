/** A client of the platform for the time of one command. */

import { type ClientOptions, TricampusClient } from "../sdk/client.ts";
import { FileStore } from "../sdk/file-store.ts";
import { UnansweredSend } from "../sdk/outbox.ts";
import { RpcError } from "../services/svrkit/errors.ts";
import type { CommandCall } from "./command.ts";
import { endpointsOf } from "./connect.ts";
import { EXIT, Failure } from "./failure.ts";
import { CLI_DEVICE, requireLogin, storePath } from "./logins.ts";
import { Waiting } from "./output/waiting.ts";

const REACH_TIMEOUT_MS = 5_000;

interface SessionOptions
  extends Pick<ClientOptions, "onMessage" | "onUpdate" | "onState" | "traced"> {
  /** Keep the messages on disk and be told of new ones; else the command only asks. */
  readonly keepsMessages?: boolean;
}

/** Runs `work` with a client that is logged in as `user` and connected, and closes it after. */
export async function withUser<T>(
  call: CommandCall,
  user: string,
  work: (client: TricampusClient) => Promise<T>,
  options: SessionOptions = {},
): Promise<T> {
  const endpoints = await endpointsOf(call);
  const login = requireLogin(call.dataDir, user);
  const { keepsMessages = false, ...listeners } = options;
  const store = keepsMessages ? new FileStore(storePath(call.dataDir, user)) : undefined;
  const client = new TricampusClient({
    endpoints,
    device: CLI_DEVICE,
    wantPush: keepsMessages,
    autoSync: keepsMessages,
    ...(store === undefined ? {} : { store }),
    ...listeners,
  });
  try {
    client.useLogin(login);
    await client.connect();
    return await work(client);
  } catch (error) {
    throw asFailure(error, user);
  } finally {
    await client.close();
    await store?.close();
  }
}

/** Runs `work` with a client that is not logged in yet. */
export async function withStranger<T>(
  call: CommandCall,
  work: (client: TricampusClient) => Promise<T>,
): Promise<T> {
  const endpoints = await endpointsOf(call);
  const reach = Promise.withResolvers<never>();
  const giveUp = setTimeout(() => {
    const urls = endpoints.map((endpoint) => endpoint.url).join(", ");
    reach.reject(
      new Failure(EXIT.unreachable, `nobody answers at ${urls}; see \`tricampus status\``),
    );
  }, REACH_TIMEOUT_MS);
  const client = new TricampusClient({
    endpoints,
    device: CLI_DEVICE,
    wantPush: false,
    autoSync: false,
    // A password takes the platform a while to check, a connection does not.
    onState: (state) => {
      if (state === "open") clearTimeout(giveUp);
    },
  });
  try {
    return await Promise.race([work(client), reach.promise]);
  } catch (error) {
    throw asFailure(error, undefined);
  } finally {
    clearTimeout(giveUp);
    await client.close();
  }
}

/** A name that can be borne, or the store would not be asked for it. */
const SOMEBODY = "is-anybody-there";
const NOT_SERVING = ["UNAVAILABLE", "DEADLINE_EXCEEDED", "NO_QUORUM"];

/** Fails with the exit code for it unless the platform can answer what its store has to be asked for. */
export async function requireServing(call: CommandCall): Promise<void> {
  const asked = withStranger(call, async (client) => {
    try {
      await client.login(SOMEBODY, SOMEBODY);
    } catch (error) {
      if (NOT_SERVING.includes(RpcError.from(error).code)) throw error;
    }
  });
  await new Waiting().during("the platform does not answer for its store yet", asked);
}

function asFailure(error: unknown, user: string | undefined): unknown {
  if (!(error instanceof RpcError)) return error;
  if (error.code === "UNAUTHENTICATED" && user !== undefined) {
    return new Failure(
      EXIT.failed,
      `${error.message}: run \`tricampus user login ${user}\` (UNAUTHENTICATED)`,
    );
  }
  if (error instanceof UnansweredSend) {
    const message = `${error.reason}: the message may have been sent, and may not`;
    return new Failure(EXIT.unreachable, `${message}; see \`tricampus status\``);
  }
  if (error.code === "UNAVAILABLE" || error.code === "DEADLINE_EXCEEDED") {
    return new Failure(EXIT.unreachable, `${error.message}; see \`tricampus status\``);
  }
  return new Failure(EXIT.failed, `${error.message} (${error.code})`);
}

/** Options of every command that talks to the platform as a client does. */
export const CLIENT_OPTIONS = [
  ["--endpoints <list>", "like a=ws://host:7100,b=ws://host:7200; default: the platform here"],
] as const;
