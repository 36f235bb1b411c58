/** The router's methods: limits of one call, then the engine. For services only, never for clients. */
import type {
  CountReply,
  LookupReply,
  LookupRequest,
  RegisterConnectionsReply,
  RegisterConnectionsRequest,
} from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import type { Call } from "../svrkit/call.ts";
import { RpcError, requireArgument } from "../svrkit/errors.ts";
import type { RouterEngine } from "./engine.ts";

const LOOKUP_USERS_MAX = 10_000;

export class RouterHandlers {
  readonly #engine: RouterEngine;
  readonly #now: () => number;

  /** `now`: milliseconds since 1970. */
  constructor(engine: RouterEngine, now: () => number) {
    this.#engine = engine;
    this.#now = now;
  }

  async register(
    request: RegisterConnectionsRequest,
    call: Call,
  ): Promise<RegisterConnectionsReply> {
    if (call.caller !== "access") {
      throw new RpcError(
        "PERMISSION_DENIED",
        `"${call.caller}" holds no connections: only access registers them`,
      );
    }
    await this.#engine.register(request, this.#now());
    return {};
  }

  async lookup({ userIds, takesIncomplete }: LookupRequest): Promise<LookupReply> {
    requireArgument(
      userIds.length <= LOOKUP_USERS_MAX,
      `${userIds.length} users; at most ${LOOKUP_USERS_MAX} a call`,
    );
    const locations = await this.#engine.lookup(userIds, this.#now());
    const incomplete = this.#engine.isIncomplete;
    if (incomplete && !takesIncomplete)
      throw new RpcError("UNAVAILABLE", "this router has not heard of everybody yet: ask another");
    return { locations, incomplete };
  }

  async count(): Promise<CountReply> {
    return this.#engine.count(this.#now());
  }
}
