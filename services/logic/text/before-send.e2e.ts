/** A whole platform with an integrator's server that has a say in what is sent. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text as readText } from "node:stream/consumers";
import { afterAll, beforeAll, expect, test } from "vitest";
import { People } from "../../../sdk/testing/people.ts";
import { startWholePlatform, type WholePlatform } from "../../platform/testing/whole-platform.ts";

const dir = mkdtempSync(join(tmpdir(), "tricampus-hook-"));
let refuses = (_text: string) => false;
const server = createServer(async (request, response) => {
  const { text } = JSON.parse(await readText(request)) as { text: string };
  response.end(JSON.stringify({ allow: !refuses(text), reason: "not here" }));
});
let platform: WholePlatform;
let people: People;

beforeAll(async () => {
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const secretFile = join(dir, "secret");
  writeFileSync(secretFile, "shared\n");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  platform = await startWholePlatform({
    text: { beforeSend: { url, secretFile, onFailure: "refuse" } },
  });
  people = new People(platform.endpoints);
});
afterAll(async () => {
  await people.close();
  await platform.stop();
  server.close();
  rmSync(dir, { recursive: true });
});

test("what the integrator refuses reaches nobody, and its sender hears why; what was taken stays", async () => {
  const [ann, bob] = [await people.online("ann"), await people.online("bob")];
  const groupId = await ann.client.groups.create("both", [bob.id]);
  refuses = (text) => text.includes("bad");
  for (const to of [{ userId: bob.id }, { groupId }]) {
    await expect(ann.client.send(to, "a bad word")).rejects.toMatchObject({
      ...{ code: "PERMISSION_DENIED", message: "not here" },
    });
  }
  const sent = await ann.client.send({ userId: bob.id }, "a good word", "kept");
  refuses = () => true;
  const again = await ann.client.send({ userId: bob.id }, "a good word", "kept");
  expect(again.messageId).toBe(sent.messageId);
  await bob.client.sync();
  const texts = bob.heard.filter(({ notice }) => notice === undefined).map(({ text }) => text);
  expect(texts).toEqual(["a good word"]);
});
