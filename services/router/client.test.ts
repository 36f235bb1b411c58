import { afterEach, expect, test } from "vitest";
import { Router } from "../../protos/gen/tricampus/router/v1/router_codec.ts";
import { Client } from "../svrkit/client.ts";
import { silentLogger } from "../svrkit/log.ts";
import { Server } from "../svrkit/server.ts";
import { memoryWirePair } from "../svrkit/transport/memory.ts";
import { locate } from "./client.ts";
import { EmbeddedRouter } from "./embedded.ts";
import { RouterHandlers } from "./handlers.ts";

const clients: Client[] = [];
afterEach(() => {
  for (const client of clients.splice(0)) client.stop();
});

/** A router a campus, the first one nearest, each knowing these users, and for how long it is incomplete. */
function routersOf(known: readonly { users: string[]; incompleteMs: number }[]) {
  const client = new Client({ process: "a/text", campus: "a" });
  clients.push(client);
  const addresses = known.map(({ users, incompleteMs }, i) => {
    const campus = "abc"[i]!;
    const engine = new EmbeddedRouter({ connectionsMax: 10, incompleteMs });
    const online = users.map((userId, at) => ({ number: at + 1, userId, device: "phone" }));
    const report = { access: `${users[0]}/access#1`, campus, online, offline: [], complete: true };
    if (online.length > 0) engine.register(report, Date.now());
    const server = new Server({ process: `${campus}/router`, campus }, silentLogger());
    const handlers = new RouterHandlers(engine, Date.now);
    server.add(Router.lookup, (request) => handlers.lookup(request));
    const dial = async () => {
      const [near, far] = memoryWirePair();
      server.accept(far);
      return near;
    };
    return { campus, label: campus, dial };
  });
  return client.calleeFrom("router", addresses, { caller: "text" });
}

const found = async (routers: ReturnType<typeof routersOf>) =>
  (await locate(routers, ["ann", "bob"], { timeoutMs: 1_000 })).map(({ userId }) => userId).sort();

test("locate: while the nearest router is incomplete, all are asked, and each connection is told once", async () => {
  const both = { users: ["ann", "bob"], incompleteMs: 60_000 };
  const one = { users: ["ann"], incompleteMs: 60_000 };
  const none = { users: [], incompleteMs: 60_000 };
  expect(await found(routersOf([none, one, both]))).toEqual(["ann", "bob"]);
  expect(await found(routersOf([none, none, none]))).toEqual([]);
});

test("locate: a router that has been told of everybody is believed", async () => {
  const complete = { users: ["ann"], incompleteMs: 0 };
  const other = { users: ["ann", "bob"], incompleteMs: 0 };
  expect(await found(routersOf([complete, other, other]))).toEqual(["ann"]);
});

test("lookup: a caller of an earlier version gets what a router knows that knows all, or nothing", async () => {
  const some = { users: ["ann"], incompleteMs: 60_000 };
  const all = { users: ["ann", "bob"], incompleteMs: 0 };
  const lookup = async (known: Parameters<typeof routersOf>[0]) => {
    const question = { userIds: ["ann", "bob"], takesIncomplete: false };
    const asked = routersOf(known).call(Router.lookup, question, { timeoutMs: 1_000 });
    return (await asked).locations.length;
  };
  expect(await lookup([some, some, all])).toBe(2);
  await expect(lookup([some, some, some])).rejects.toMatchObject({ code: "UNAVAILABLE" });
});
