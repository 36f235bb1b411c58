import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CLIENT_METHODS } from "../services/access/methods.ts";

interface Operation {
  readonly security: readonly Record<string, unknown>[];
}

const { paths, components } = JSON.parse(
  readFileSync(join(import.meta.dirname, "../protos/gen/openapi.json"), "utf8"),
) as { paths: Record<string, { post: Operation }>; components: { schemas: object } };

test("openapi: every method that access knows is there, with the proof that it asks for", () => {
  const expected = [...CLIENT_METHODS.values()].flatMap((method) => {
    const proof = method.needsApiKey ? "apiKey" : method.needsTicket ? "ticket" : undefined;
    const own: [string, string | undefined] = [`/v1/${method.name}`, proof];
    const actsAs: [string, string | undefined] = [`/v1/as/{user}/${method.name}`, "apiKey"];
    return method.needsTicket ? [own, actsAs] : [own];
  });
  const found = Object.entries(paths).map(([path, { post }]) => {
    return [path, Object.keys(post.security[0] ?? {})[0]];
  });
  expect(found.sort()).toEqual(expected.sort());
});

test("openapi: every reference leads somewhere", () => {
  const text = JSON.stringify({ paths, components });
  const names = [...text.matchAll(/#\/components\/schemas\/([\w.]+)/g)].map(([, name]) => name!);
  expect(names.length).toBeGreaterThan(100);
  for (const name of names) expect(components.schemas).toHaveProperty([name]);
});
