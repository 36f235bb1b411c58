/**
 * Integrators' servers, which a data centre asks before a message is taken and tells of it afterwards: who
 * calls them, with whose Secret, and at which ports. The rest of a pod's services learn only which of them
 * there are. Pure.
 */
import { POD_FILES, POD_FILES_DIR } from "../../services/platform/pod/files.ts";
import type { DataCenterSpec } from "../api/data-center.ts";
import { type ForeignServer, type Options, serversAt } from "./engine-servers.ts";

type Hooks = NonNullable<DataCenterSpec["hooks"]>;
type HookName = keyof Hooks;
type HookSecret = "beforeSendSecret" | "eventsSecret" | "pushesSecret";

/** Which service calls the server, and the file that its Secret is in the pods of that service. */
const CALLS: Record<HookName, { readonly caller: string; readonly file: HookSecret }> = {
  beforeSend: { caller: "text", file: "beforeSendSecret" },
  events: { caller: "hooks", file: "eventsSecret" },
  pushes: { caller: "hooks", file: "pushesSecret" },
};

/** Those that are told afterwards, and the services that must know it: who carries messages. */
const TOLD = ["events", "pushes"] as const;
const TELLERS = ["text", "fanout"] as const;

interface Call {
  readonly hook: HookName;
  readonly caller: string;
  readonly file: HookSecret;
  readonly server: NonNullable<Hooks[HookName]>;
}

function callsOf({ hooks = {} }: Pick<DataCenterSpec, "hooks">): Call[] {
  return (Object.keys(CALLS) as HookName[]).flatMap((hook) => {
    const server = hooks[hook];
    return server === undefined ? [] : [{ hook, ...CALLS[hook], server }];
  });
}

/** What the services are told of hooks; nothing of those that nobody asked for. */
export function hookOptions(spec: Pick<DataCenterSpec, "hooks">): Options {
  const calls = callsOf(spec);
  const options: Record<string, Record<string, unknown>> = {};
  for (const { hook, caller, file, server } of calls) {
    const { secretName: _, ...rest } = server;
    const secretFile = `${POD_FILES_DIR}/${POD_FILES[file]}/secret`;
    options[caller] = { ...options[caller], [hook]: { ...rest, secretFile } };
  }
  const told = TOLD.filter((hook) => calls.some((call) => call.hook === hook));
  if (told.length > 0)
    for (const teller of TELLERS) options[teller] = { ...options[teller], hooks: told };
  return options;
}

/** By file that a pod mounts: the integrator's Secret that it is. */
export function hookSecrets(spec: DataCenterSpec): Partial<Record<HookSecret, string>> {
  return Object.fromEntries(callsOf(spec).map(({ file, server }) => [file, server.secretName]));
}

/** Which of them the services of a pod need. */
export function hookMounts(spec: DataCenterSpec, services: readonly string[]): HookSecret[] {
  return callsFrom(spec, services).map(({ file }) => file);
}

/** Integrators' servers that these services call. */
export function hookServers(spec: DataCenterSpec, services: readonly string[]): ForeignServer[] {
  return serversAt(callsFrom(spec, services).map(({ server }) => server.url));
}

function callsFrom(spec: DataCenterSpec, services: readonly string[]): Call[] {
  return callsOf(spec).filter(({ caller }) => services.includes(caller));
}
