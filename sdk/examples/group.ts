import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { FileStore, makeContent, TricampusClient } from "../node.ts";

const endpoints = (process.env.ENDPOINTS ?? "a=ws://127.0.0.1:7100").split(",").map((part) => {
  const [campus, url] = part.split("=") as [string, string];
  return { campus, url };
});
const folder = mkdtempSync(join(tmpdir(), "tricampus-example-"));

const cy = new TricampusClient({ endpoints, device: "phone" });
await cy.register("cy", "correct-horse");
await cy.connect();

// Files outlive the process: a device that starts again goes on where it was.
const store = new FileStore(join(folder, "dora.store"));
const dora = new TricampusClient({ endpoints, device: "phone", store });
const { userId } = await dora.register("dora", "battery-staple");
await dora.connect();

const groupId = await cy.groups.create("harbour", [userId]);
const content = makeContent({ mentions: [userId] });
await cy.send({ groupId }, { text: "who has the keys?", content });

// Dora is told at once; sync() waits until all that is there has come.
for (let texts: string[] = []; texts.length === 0; ) {
  await dora.sync();
  const messages = await dora.store.messages(groupId);
  texts = messages.filter((message) => message.notice === undefined).map(({ text }) => text);
  for (const text of texts) console.log(`dora reads: ${text}`);
}
console.log(`mentioned: ${dora.conversations.get(groupId)?.mentioned}`);

await cy.close();
await dora.close();
await store.close();
rmSync(folder, { recursive: true });
