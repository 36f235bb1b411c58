/** What browsers ask for before a page of another origin may read an answer. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type SmallPlatform, startSmallPlatform } from "../../sdk/testing/small-platform.ts";
import { checkAccessConfig } from "./config.ts";
import { exchange } from "./testing/raw-client.ts";

const SHOP = "https://shop.example";
const EVIL = "https://evil.example";

let platform: SmallPlatform;

beforeAll(async () => {
  const accessOptionsOf = { b: { origins: [SHOP] }, c: { origins: [] } };
  platform = await startSmallPlatform({ campuses: ["a", "b", "c"], accessOptionsOf });
});
afterAll(() => platform.stop());

const ask = (campus: number, method: string, path: string, headers: Record<string, string>) =>
  exchange({ url: platform.endpoints[campus]!.url }, { method, path, headers });

/** The allowed origin: of the preflight, of an answer, of a refusal, of a path that is none. */
async function allowed(campus: number, origin: string): Promise<unknown[]> {
  const asked = { origin, "access-control-request-method": "DELETE" };
  const answers = [
    await ask(campus, "OPTIONS", "/v1/poll/x", asked),
    await ask(campus, "POST", "/v1/poll", { origin }),
    await ask(campus, "POST", "/v1/Text/Send", { origin }),
    await ask(campus, "GET", "/nothing", { origin }),
  ];
  expect(answers.map(({ status }) => status)).toEqual([204, 201, 401, 404]);
  return answers.map(({ headers }) => headers["access-control-allow-origin"]);
}

test("origins: pages of anywhere, unless some are named; none: of no other", async () => {
  expect(await allowed(0, EVIL)).toEqual(Array(4).fill("*"));
  expect(await allowed(1, SHOP)).toEqual(Array(4).fill(SHOP));
  expect(await allowed(1, EVIL)).toEqual(Array(4).fill(undefined));
  expect(await allowed(2, SHOP)).toEqual(Array(4).fill(undefined));
});

test("origins: a preflight names what clients need, a cache knows what it depends on", async () => {
  const { headers } = await ask(0, "OPTIONS", "/v1/Text/Send", { origin: SHOP });
  expect(headers["access-control-allow-methods"]).toBe("GET, HEAD, POST, DELETE");
  expect(headers["access-control-allow-headers"]).toContain("authorization");
  expect(headers["access-control-max-age"]).toBe("7200");
  const refused = await ask(1, "OPTIONS", "/v1/Text/Send", { origin: EVIL });
  expect(refused.headers["access-control-allow-methods"]).toBeUndefined();
  expect(refused.headers.vary).toContain("origin");
  const unasked = await ask(0, "POST", "/v1/poll", {});
  expect(unasked.headers["access-control-allow-origin"]).toBeUndefined();
});

test("origins: what is no origin is refused", () => {
  for (const wrong of ["shop.example", "https://shop.example/", "https://shop.example/a", "null"])
    expect(() => checkAccessConfig({ port: 0, origins: [wrong] }), wrong).toThrow("origin");
  expect(checkAccessConfig({ port: 0 }).origins).toEqual(["*"]);
});
