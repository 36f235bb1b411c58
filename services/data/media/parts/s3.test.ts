/** The S3 engine before a server that speaks the protocol, signatures included, in this process. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import S3rver from "@20minutes/s3rver";
import { afterAll, beforeAll, expect, test } from "vitest";
import { partEngineSuite } from "./engine.suite.ts";
import { S3Parts } from "./s3.ts";

const HOST = "127.0.0.1";
const KEYS = { accessKeyId: "S3RVER", secretAccessKey: "S3RVER" };
const dir = mkdtempSync(join(tmpdir(), "tricampus-s3-"));
let server: S3rver;
let endpoint = "";

beforeAll(async () => {
  server = new S3rver({
    ...{ address: HOST, port: 0, silent: true, directory: dir, vhostBuckets: false },
    configureBuckets: [{ name: "parts", configs: [] }],
  });
  const { port } = await server.run();
  endpoint = `http://${HOST}:${port}`;
});
afterAll(async () => {
  await server.close();
  rmSync(dir, { recursive: true });
});

const open = (changes: object = {}) =>
  new S3Parts({ endpoint, bucket: "parts", region: "us-east-1", ...KEYS, ...changes });

partEngineSuite("S3", open);

test("parts (S3): a wrong secret is refused, and said to be", async () => {
  const engine = open({ secretAccessKey: "wrong" });
  const put = engine.put("0".repeat(64), Buffer.alloc(32), Buffer.from("x"));
  await expect(put).rejects.toMatchObject({ code: "STORAGE_REFUSED" });
  await expect(put).rejects.toThrow(/403/);
});

test("parts (S3): nobody there is an error that can be tried again", async () => {
  const engine = open({ endpoint: "http://127.0.0.1:9" });
  const put = engine.put("0".repeat(64), Buffer.alloc(32), Buffer.from("x"));
  await expect(put).rejects.toMatchObject({ code: "UNAVAILABLE", retryable: true });
});
