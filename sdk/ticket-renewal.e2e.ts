/** Tickets that are good for seconds: a device that renews them is never without one. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  startWholePlatform,
  type WholePlatform,
} from "../services/platform/testing/whole-platform.ts";
import { rest } from "../services/svrkit/rest.ts";
import { People } from "./testing/people.ts";

const LIFETIME_MS = 6_000;
const WATCHED_MS = 2.5 * LIFETIME_MS;

let platform: WholePlatform;
let people: People;

beforeAll(async () => {
  platform = await startWholePlatform({ account: { ticketLifetimeMs: LIFETIME_MS } });
  people = new People(platform.endpoints);
});
afterAll(async () => {
  await people.close();
  await platform.stop();
});

test("a ticket is renewed on the way, without a break: nothing fails, nobody is logged out", async () => {
  const states: string[] = [];
  const loggedOut: string[] = [];
  const ann = await people.online("ann", {
    onState: (state) => states.push(state),
    onLoggedOut: (reason) => loggedOut.push(reason),
  });
  const untilAttached = states.length;
  const endMs = performance.now() + WATCHED_MS;
  let sent = 0;
  for (; performance.now() < endMs; sent++) {
    await ann.client.send({ userId: ann.id }, `${sent}`);
    await rest(200);
  }
  expect(sent).toBeGreaterThan(WATCHED_MS / 2_000);
  // Attaching again with the newer ticket is on the connection that stands.
  const after = new Set(states.slice(untilAttached));
  expect([...after].filter((state) => state !== "attaching" && state !== "attached")).toEqual([]);
  expect(after).toContain("attached");
  expect(loggedOut).toEqual([]);
  await ann.client.sync();
  expect(ann.client.store.counts.messages).toBe(sent);
});
