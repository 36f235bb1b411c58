import { expect, test } from "vitest";
import { KV_GROUPS } from "./services.ts";
import { callersTakenAway, checkCallers, remainingCallers } from "./usual-callers.ts";

const OPERATORS = ["cli", "operator"];
const LOGS = ["queuelog-1", "queuelog-2"];

test.each([
  ["kv.Kw", ["cli"], '"kv.Kw" is no method or service of the table of callers'],
  ["kv.Kv/Wrote", ["cli"], '"kv.Kv/Wrote" is no method or service'],
  ["constructor", [], '"constructor" is no method or service'],
  ["kv.Kv", ["clii"], 'kv.Kv: there is no service "clii"'],
  ["kv.Kv", ["text"], 'kv.Kv: "text" is none of its usual callers (account-data, inbox-data, '],
  ["kv.Replica", ["access"], 'kv.Replica: "access" is none of its usual callers'],
  ["kv.Replica/Vote", [...KV_GROUPS, "cli"], 'kv.Replica/Vote: "cli" is none of its usual'],
  [
    "router.Router/Register",
    ["text"],
    '"text" is none of its usual callers (access): a list adds no',
  ],
  ["kv.Replica", [], 'kv.Replica: "kvsvr" must stay: its replicas call each other'],
  ["kv.Replica/Vote", KV_GROUPS.slice(1), 'kv.Replica/Vote: "kvsvr" must stay'],
  ["kv.Kv", OPERATORS, 'kv.Kv: "kvsvr" must stay'],
  ["queue.Log", ["queue", "queuelog-1"], 'queue.Log: "queuelog-2" must stay'],
  ["queue.Log/Fence", ["queue"], 'queue.Log/Fence: "queuelog-1" must stay'],
  ["data.MediaData", ["media"], 'data.MediaData: "media-data" must stay'],
  ["queue.Queue/Adopt", [], 'queue.Queue/Adopt: "queue" must stay'],
])("callers: %s: %j is refused", (name, callers, message) => {
  expect(() => checkCallers({ [name]: callers })).toThrow(message);
});

test.each([
  ["kv.Kv", [...KV_GROUPS, "admin-data", "control"]],
  ["kv.Kv/Write", [...KV_GROUPS, "inbox-data"]],
  ["kv.Replica", KV_GROUPS],
  ["queue.Log", LOGS],
  ["queue.Log/Append", []],
  ["router.Router", ["access", "text"]],
  ["client.Text/Send", ["access"]],
])("callers: %s: %j is taken", (name, callers) => {
  expect(() => checkCallers({ [name]: callers })).not.toThrow();
});

test("callers: an entry of a service covers its methods, but those with an entry of their own", () => {
  const fetch = "kv.Replica/Fetch";
  expect(remainingCallers(fetch, {})).toEqual([...KV_GROUPS, ...OPERATORS]);
  expect(remainingCallers(fetch, { "kv.Replica": KV_GROUPS })).toEqual(KV_GROUPS);
  const own = { "kv.Replica": KV_GROUPS, [fetch]: [...KV_GROUPS, "cli"] };
  expect(remainingCallers(fetch, own)).toEqual([...KV_GROUPS, "cli"]);
  // A service's list takes away: who usually calls one method does not get the others.
  expect(remainingCallers("router.Router/Register", { "router.Router": ["text"] })).toEqual([]);
});

test("callers: who is taken away is known by name", () => {
  const told = {
    "client.Text/Send": ["access"],
    "monitor.Centre": ["agent"],
    "router.Router": ["access", "text", "cli"],
  };
  expect(callersTakenAway(told)).toEqual({
    "client.Text/Send": ["group"],
    "router.Router": expect.arrayContaining(["fanout", "hooks", "operator"]),
  });
});
