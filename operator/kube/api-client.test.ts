import { expect, test } from "vitest";
import { ApiDouble } from "../testing/api-double/server.ts";
import { ApiClient, versionIn } from "./api-client.ts";
import { plainConnection } from "./connection.ts";

const ANSWERS: [situation: string, metadata: object][] = [
  ["as a rule", { name: "x", resourceVersion: "17", labels: { a: "b" } }],
  ["beside a label of that name", { labels: { resourceVersion: "3" }, resourceVersion: "17" }],
  ["before one", { resourceVersion: "17", labels: { resourceVersion: "3" } }],
  [
    "beside an annotation that holds an object",
    { annotations: { last: '{"resourceVersion":"3"}' }, resourceVersion: "17" },
  ],
  ["beside who owns it", { managedFields: [{ "f:resourceVersion": {} }], resourceVersion: "17" }],
  ["with blanks", { resourceVersion: "17" }],
];

test.each(ANSWERS)("a write's version: %s", (situation, metadata) => {
  const text = JSON.stringify({ metadata }, undefined, situation === "with blanks" ? 2 : 0);
  expect(versionIn(text)).toBe("17");
});

const METHODS = ["request", "write", "carryOut"] as const;

test.each(METHODS)(
  "%s: an answer that begins and does not end is given up in time",
  async (method) => {
    const double = new ApiDouble();
    const client = new ApiClient(plainConnection(await double.listen(), 1));
    try {
      double.faultOf = () => ({ fault: "stall" });
      const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" } };
      const asked = { method: "POST", path: "/api/v1/namespaces/n/configmaps", body } as const;
      const startMs = performance.now();
      await expect(client[method]({ ...asked, timeoutMs: 1_000 })).rejects.toMatchObject({
        message: expect.stringMatching(/no (end of it|answer) in 1000 ms$/), // which, by the machine
        status: 0,
      });
      expect(performance.now() - startMs).toBeLessThan(10_000);
      // Its connection, the only one, is free for what comes next.
      double.faultOf = () => undefined;
      const path = `${asked.path}/x`;
      await expect(client.request({ method: "GET", path })).resolves.toMatchObject(body);
    } finally {
      client.stop();
      await double.close();
    }
  },
);
