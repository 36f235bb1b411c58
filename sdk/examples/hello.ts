import { MemoryStore, TricampusClient } from "../node.ts";

const endpoints = (process.env.ENDPOINTS ?? "a=ws://127.0.0.1:7100").split(",").map((part) => {
  const [campus, url] = part.split("=") as [string, string];
  return { campus, url };
});

// A device: the client, and the store that keeps what it has. In a browser: await IndexedDbStore.open("ann").
const ann = new TricampusClient({ endpoints, device: "laptop", store: new MemoryStore() });
await ann.register("ann", "correct-horse");
await ann.connect();

const bob = new TricampusClient({
  ...{ endpoints, device: "phone" },
  onMessage: (message) => console.log(`bob reads: ${message.text}`),
});
await bob.register("bob", "battery-staple");
await bob.connect();

// Resolves when it is durable in two campuses and on its way. It is sent again, under the same id, until
// somebody answers: to another campus, if need be.
const sent = await ann.send({ userName: "bob" }, "hello from ann");
await bob.sync();
console.log(`message ${sent.sequence} of their conversation`);
console.log(`unread: ${bob.conversations.list().map((one) => one.unread)}`);
await bob.conversations.markRead(sent.conversationId);
console.log(`unread: ${bob.conversations.list().map((one) => one.unread)}`);

await ann.close();
await bob.close();
