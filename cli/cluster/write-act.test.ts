import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { ApiClient } from "../../operator/kube/api-client.ts";
import { plainConnection } from "../../operator/kube/connection.ts";
import { writeAct } from "./write-act.ts";

test("write act: a cluster that does not know the field says so, and nobody is told that it will be done", async () => {
  // As an API server does whose definition of the kind lacks the field: drops it, or refuses when it is to be strict.
  const server = createServer((request, response) => {
    const isStrict = request.url!.includes("fieldValidation=Strict");
    const message = 'strict decoding error: unknown field "spec.replaceLogs"';
    const refusal = { kind: "Status", status: "Failure", reason: "BadRequest", code: 400, message };
    const kept = { kind: "DataCenter", metadata: { name: "main", resourceVersion: "1" } };
    response.writeHead(isStrict ? 400 : 200, { "content-type": "application/json" });
    response.end(JSON.stringify(isStrict ? refusal : kept));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const client = new ApiClient(plainConnection(`http://127.0.0.1:${port}`));
  const act = { replaceLogs: { campus: "b", act: "once", reason: "its disk" } };
  const written = writeAct(
    { client, namespace: "test" },
    { kind: "DataCenter", name: "main" },
    act,
  );
  await expect(written).rejects.toThrow(/knows no spec.replaceLogs, so nothing was written/);
  client.stop();
  server.close();
});
