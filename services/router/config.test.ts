import { expect, test } from "vitest";
import { checkRouterConfig } from "./config.ts";

test.each([
  ["redis://10.0.0.7:6379", true],
  ["rediss://redis.example:6380", true],
  ["http://10.0.0.7:6379", false],
  // It would stand in logs and in what pods read.
  ["redis://ann:secret@10.0.0.7:6379", false],
])("router config: the server %s is taken: %s", (a, taken) => {
  const check = () => checkRouterConfig({ engine: { kind: "redis", servers: { a } } });
  if (taken) expect(check().engine).toMatchObject({ servers: { a } });
  else expect(check).toThrow("redis://host:port");
});
