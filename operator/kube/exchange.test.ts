import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { issueCertificate, newAuthority } from "../../services/platform/certificates.ts";
import { ApiDouble } from "../testing/api-double/server.ts";
import { ApiClient, type ApiRequest } from "./api-client.ts";
import { plainConnection } from "./connection.ts";

test("over TLS: who the server is, and who asks", async () => {
  const authority = await newAuthority();
  const hosts = ["127.0.0.1"];
  const issued = await issueCertificate(authority, { name: "s", services: [], hosts, days: 1 });
  const server = createServer(issued, ({ headers, url }, response) => {
    response.end(JSON.stringify({ said: [headers.authorization, url] }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const base = `https://127.0.0.1:${(server.address() as AddressInfo).port}/before/`;
  const trusting = new ApiClient({ base, token: () => "t", tls: { ca: authority.cert } });
  const another = new ApiClient({ base, tls: { ca: (await newAuthority()).cert } });
  const asked = { method: "GET", path: "/api/v1/nodes" } as const;
  try {
    const said = ["Bearer t", "/before/api/v1/nodes"];
    await expect(trusting.request(asked)).resolves.toEqual({ said });
    await expect(another.request(asked)).rejects.toMatchObject({
      message: expect.stringContaining("certificate"),
      status: 0,
    });
  } finally {
    trusting.stop();
    another.stop();
    await new Promise((resolve) => server.close(resolve));
  }
});

const PATH = "/api/v1/namespaces/n/configmaps";
const GIVEN_UP: [why: string, means: () => Partial<ApiRequest>, error: object][] = [
  [
    "its time is over",
    () => ({ timeoutMs: 200 }),
    { status: 0, message: `POST ${PATH}: no answer in 200 ms` },
  ],
  [
    "its caller gives up",
    () => ({ signal: AbortSignal.timeout(200) }),
    { status: 0, message: `POST ${PATH}: it was given up` },
  ],
  [
    "it may not leave any more",
    () => {
      const until = performance.now() + 200;
      const mayLeave = () => {
        if (performance.now() > until) throw new Error("another one acts");
      };
      return { mayLeave };
    },
    { message: "another one acts" },
  ],
];

test.each(GIVEN_UP)("what waits for a connection is not sent when %s", async (_, means, error) => {
  const double = new ApiDouble();
  const client = new ApiClient(plainConnection(await double.listen(), 1));
  try {
    double.faultOf = () => ({ fault: "slow", ms: 1_000 });
    const first = client.request({ method: "GET", path: PATH });
    const body = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" } };
    const second = client.carryOut({ method: "POST", path: PATH, body, ...means() });
    await expect(second).rejects.toMatchObject(error);
    await first;
    double.faultOf = () => undefined;
    // It is not sent later either, and the connection is there for the next one.
    await expect(client.request({ method: "GET", path: PATH })).resolves.toBeDefined();
    expect(double.writes).toBe(0);
  } finally {
    client.stop();
    await double.close();
  }
});
