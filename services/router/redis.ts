/**
 * The Redis engine: what the routers of one campus know lies in that campus's Redis, so a router that
 * starts knows everybody at once, and several may serve.
 *
 *   start:<access>   the start of that access process that reported last; forgotten after ten minutes
 *   at:<access>      hash, number of a connection -> user
 *   user:<user>      hash, <access>#<number> -> when it was said, and the location as JSON
 *   said             sorted set of all <access>#<number> by when they were said, to find expired ones
 *   users            set of users with a connection
 *   born             since when this Redis is not empty, ms since 1970
 *
 * Each step changes all of them together, in a script. All of it is soft state: a Redis that comes back
 * empty is full again after the access processes' next complete reports (10 s), so it needs no disk and
 * no replica; until then its answers are said to be incomplete. One Redis, not a Redis Cluster: a script's
 * keys belong to many users.
 */
import assert from "node:assert/strict";
import { createClient, type RedisClientType } from "@redis/client";
import type {
  Connection,
  CountReply,
  Location,
  RegisterConnectionsRequest,
} from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import type { Logger } from "../svrkit/log.ts";
import { rest } from "../svrkit/rest.ts";
import { readServerSecrets } from "../svrkit/server-secrets.ts";
import { EXPIRY_MS, fullRouter, parseAccess, type RouterEngine } from "./engine.ts";

/** Below the time that access gives a router (500 ms and more), so that the failure is told in words. */
const ANSWER_TIMEOUT_MS = 400;
const SILENCE_MS = 2_000;
const RECONNECT_FIRST_MS = 50;
const RECONNECT_LAST_MS = 1_000;
const COMMANDS_WAITING_MAX = 20_000;
const START_KEPT_MS = 600_000;
/** Of one access process at once: it gives up on one after a while and sends all of it anew. */
const REPORTS_MAX = 2;
/** Connections a script goes through at a time: Redis serves nobody else meanwhile. */
const STEP = 1_000;

const REMOVE = `
local function remove(access, number)
  local at = prefix .. 'at:' .. access
  local user = redis.call('HGET', at, number)
  if not user then return end
  redis.call('HDEL', at, number)
  redis.call('ZREM', prefix .. 'said', access .. '#' .. number)
  redis.call('HDEL', prefix .. 'user:' .. user, access .. '#' .. number)
  if redis.call('EXISTS', prefix .. 'user:' .. user) == 0 then
    redis.call('SREM', prefix .. 'users', user)
  end
end
`;

/** ARGV: prefix, access, start, how long that is kept. 0: a later start has reported already. */
const BEGIN = `
local prefix, access, start = ARGV[1], ARGV[2], tonumber(ARGV[3])
${REMOVE}
local known = tonumber(redis.call('GET', prefix .. 'start:' .. access) or '-1')
if known > start then return 0 end
if known < start then
  for _, number in ipairs(redis.call('HKEYS', prefix .. 'at:' .. access)) do remove(access, number) end
end
redis.call('SET', prefix .. 'start:' .. access, start, 'PX', ARGV[4])
return 1
`;

/** ARGV: prefix, access, now, connections at most, then number, user and location of each. 0: full. */
const ONLINE = `
local prefix, access, now, most = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
for i = 5, #ARGV, 3 do
  local number, user, location = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  local name = access .. '#' .. number
  if redis.call('HSETNX', prefix .. 'at:' .. access, number, user) == 1 then
    if redis.call('ZCARD', prefix .. 'said') >= most then
      redis.call('HDEL', prefix .. 'at:' .. access, number)
      return 0
    end
    redis.call('SADD', prefix .. 'users', user)
  end
  redis.call('ZADD', prefix .. 'said', now, name)
  redis.call('HSET', prefix .. 'user:' .. user, name, now .. ' ' .. location)
end
return 1
`;

/** ARGV: prefix, access, then numbers. */
const OFFLINE = `
local prefix, access = ARGV[1], ARGV[2]
${REMOVE}
for i = 3, #ARGV do remove(access, ARGV[i]) end
return 1
`;

/** ARGV: prefix, the newest time that is over, how many at most. Returns how many there were. */
const SWEEP = `
local prefix = ARGV[1]
${REMOVE}
local over = redis.call('ZRANGEBYSCORE', prefix .. 'said', '-inf', ARGV[2], 'LIMIT', 0, ARGV[3])
for _, name in ipairs(over) do remove(string.match(name, '^(.*)#(%d+)$')) end
return #over
`;

export interface RedisRouterOptions {
  readonly connectionsMax: number;
  /** "redis://10.0.0.7:6379", or "rediss://" for TLS. */
  readonly url: string;
  /** Folder of files: svrkit/server-secrets.ts. */
  readonly secretsDir?: string | undefined;
  /** In front of every key. */
  readonly prefix: string;
  /** So long after it was found empty Redis is taken for incomplete. */
  readonly incompleteMs: number;
  readonly log: Logger;
}

export class RedisRouter implements RouterEngine {
  readonly #client: RedisClientType;
  readonly #options: RedisRouterOptions;
  /** By access process: reports being taken over, one at a time, for a complete one takes several steps. */
  readonly #reports = new Map<string, Promise<void>[]>();
  #trouble: string | undefined = "it is not connected yet";
  /** Until when lookups would miss who is online, by performance.now(). */
  #incompleteUntilMs = Number.POSITIVE_INFINITY;

  /** Connects by itself, and again whenever the connection ends. */
  constructor(options: RedisRouterOptions) {
    this.#options = options;
    this.#client = createClient(clientOptions(options)) as RedisClientType;
    this.#client.on("error", (error: Error) => {
      if (this.#trouble === undefined) options.log.warn({ err: error }, "Redis does not answer");
      this.#trouble = error.message;
    });
    this.#client.on("ready", () => void this.#begin());
    this.#client.connect().catch(() => {}); // told by the event "error", and tried again
  }

  /** Why nothing can be asked just now; undefined: all is well. */
  get silent(): string | undefined {
    return this.#trouble && `Redis at ${this.#options.url} does not answer: ${this.#trouble}`;
  }

  async register(report: RegisterConnectionsRequest, nowMs: number): Promise<void> {
    const { name, start } = parseAccess(report.access);
    const under = this.#reports.get(name) ?? [];
    if (under.length >= REPORTS_MAX)
      throw new RpcError("UNAVAILABLE", `${under.length} reports of ${name} are under way: retry`);
    this.#reports.set(name, under);
    const before = under.at(-1) ?? Promise.resolve();
    const taken = before.then(() => this.#takeOver(report, { name, start, nowMs }));
    under.push(taken.catch(() => {})); // whoever asked hears of it
    try {
      await taken;
    } finally {
      under.shift();
      if (under.length === 0) this.#reports.delete(name);
    }
  }

  get isIncomplete(): boolean {
    return performance.now() < this.#incompleteUntilMs;
  }

  async lookup(userIds: readonly string[], nowMs: number): Promise<Location[]> {
    const found: Location[] = [];
    for (let at = 0; at < userIds.length; at += STEP) {
      const asked = userIds
        .slice(at, at + STEP)
        .map((userId) => this.#client.hVals(`${this.#options.prefix}user:${userId}`));
      for (const values of await this.#answered(Promise.all(asked))) {
        for (const value of values) {
          const space = value.indexOf(" ");
          const saidAtMs = Number(value.slice(0, space));
          if (saidAtMs + EXPIRY_MS > nowMs) found.push(JSON.parse(value.slice(space + 1)));
        }
      }
    }
    return found;
  }

  async count(nowMs: number): Promise<CountReply> {
    while ((await this.#sweep(nowMs)) === STEP);
    const { prefix } = this.#options;
    const counts = [this.#client.sCard(`${prefix}users`), this.#client.zCard(`${prefix}said`)];
    const [users, connections] = await this.#answered(Promise.all(counts));
    return { users: users!, connections: connections! };
  }

  close(): void {
    this.#client.destroy();
  }

  /** Asks until it knows how complete this Redis is, or has lost it again; never rejects. */
  async #begin(): Promise<void> {
    this.#incompleteUntilMs = Number.POSITIVE_INFINITY;
    while (this.#client.isReady) {
      try {
        const incompleteMs = await this.#incompleteMs();
        this.#incompleteUntilMs = performance.now() + incompleteMs;
        this.#trouble = undefined;
        const { url, log } = this.#options;
        log.info({ url, incompleteMs }, "connected to Redis");
        return;
      } catch (error) {
        this.#trouble = (error as Error).message;
        await rest(RECONNECT_LAST_MS);
      }
    }
  }

  /** For how long what is there is not all: another router may have found it empty just before. */
  async #incompleteMs(): Promise<number> {
    const { prefix, incompleteMs } = this.#options;
    const key = `${prefix}born`;
    const nowMs = Date.now();
    const asked = [this.#client.set(key, `${nowMs}`, { NX: true }), this.#client.get(key)];
    const [, bornAtMs] = await this.#answered(Promise.all(asked));
    return Math.min(incompleteMs, Math.max(0, Number(bornAtMs) + incompleteMs - nowMs));
  }

  async #takeOver(
    report: RegisterConnectionsRequest,
    { name, start, nowMs }: { name: string; start: number; nowMs: number },
  ): Promise<void> {
    const { online, offline, complete, access, campus } = report;
    await this.#sweep(nowMs);
    const isNewest = await this.#run(BEGIN, [name, String(start), String(START_KEPT_MS)]);
    if (isNewest === 0) return;
    await this.#offline(name, offline);
    for (let at = 0; at < online.length; at += STEP) {
      const some = online.slice(at, at + STEP).flatMap((connection) => {
        const { number, userId, device } = connection;
        const location: Location = { userId, device, access, campus, number };
        return [String(number), userId, JSON.stringify(location)];
      });
      const { connectionsMax } = this.#options;
      const fits = await this.#run(ONLINE, [name, String(nowMs), String(connectionsMax), ...some]);
      if (fits === 0) throw fullRouter(connectionsMax);
    }
    if (complete) await this.#forgetUnsaid(name, online);
  }

  async #forgetUnsaid(name: string, online: readonly Connection[]): Promise<void> {
    const said = new Set(online.map(({ number }) => number));
    const key = `${this.#options.prefix}at:${name}`;
    const known = (await this.#answered(this.#client.hKeys(key))).map(Number);
    await this.#offline(
      name,
      known.filter((number) => !said.has(number)),
    );
  }

  async #offline(name: string, numbers: readonly number[]): Promise<void> {
    for (let at = 0; at < numbers.length; at += STEP) {
      await this.#run(OFFLINE, [name, ...numbers.slice(at, at + STEP).map(String)]);
    }
  }

  #sweep(nowMs: number): Promise<number> {
    return this.#run(SWEEP, [String(nowMs - EXPIRY_MS), String(STEP)]);
  }

  async #run(script: string, args: readonly string[]): Promise<number> {
    const options = { arguments: [this.#options.prefix, ...args] };
    const answer = await this.#answered(this.#client.eval(script, options));
    assert(typeof answer === "number", "a script answers with a number");
    return answer;
  }

  async #answered<T>(asked: Promise<T>): Promise<T> {
    const { promise: late, reject } = Promise.withResolvers<never>();
    const tooLate = new Error(`no answer within ${ANSWER_TIMEOUT_MS} ms`);
    const timer = setTimeout(() => reject(tooLate), ANSWER_TIMEOUT_MS);
    try {
      return await Promise.race([asked, late]);
    } catch (error) {
      const { message } = error as Error;
      throw new RpcError("UNAVAILABLE", `the router's Redis: ${message}`, { cause: error });
    } finally {
      clearTimeout(timer);
    }
  }
}

function clientOptions({ url, secretsDir }: RedisRouterOptions) {
  const { username, password, ca, cert, key } = readServerSecrets(secretsDir);
  return {
    url,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    // A command that cannot be sent now fails now: the caller has other routers to ask.
    disableOfflineQueue: true,
    commandsQueueMaxLength: COMMANDS_WAITING_MAX,
    pingInterval: SILENCE_MS / 2,
    socket: {
      ...(url.startsWith("rediss:") && { tls: true as const, ca, cert, key }),
      connectTimeout: SILENCE_MS,
      socketTimeout: SILENCE_MS,
      reconnectStrategy: (attempts: number) =>
        Math.min(RECONNECT_LAST_MS, RECONNECT_FIRST_MS * 2 ** Math.min(attempts, 10)) *
        (0.5 + Math.random() / 2),
    },
  };
}
