/** Asking the routers where users are. */
import { type Location, Router } from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import type { CallOptions } from "../svrkit/call.ts";
import type { Callee } from "../svrkit/client.ts";

/**
 * The connections of these users, each once: one router's word, or that of all that answer while it has not
 * heard of everybody yet: then it takes as long as the slowest of them, at most the time of `options`. Rejects
 * when no router answers.
 */
export async function locate(
  router: Callee,
  userIds: readonly string[],
  options: CallOptions,
): Promise<Location[]> {
  const question = { userIds: [...userIds], takesIncomplete: true };
  const { locations, incomplete } = await router.call(Router.lookup, question, options);
  if (!incomplete) return locations;
  const asked = router.peers.map((_, index) =>
    router.call(Router.lookup, question, { ...options, order: [index] }),
  );
  const found = new Map(locations.map((one) => [nameOf(one), one]));
  for (const answer of await Promise.allSettled(asked)) {
    if (answer.status === "rejected") continue;
    for (const one of answer.value.locations) found.set(nameOf(one), one);
  }
  return [...found.values()];
}

function nameOf({ access, number }: Location): string {
  return `${access} ${number}`;
}
