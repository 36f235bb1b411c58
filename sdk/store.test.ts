import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { IDBFactory } from "fake-indexeddb";
import { afterAll, expect, test } from "vitest";
import { FileStore } from "./file-store.ts";
import { type DatabaseFactory, IndexedDbStore } from "./indexed-db-store.ts";
import { storeSuite } from "./store.suite.ts";
import { EMPTY_SNAPSHOT, MemoryStore } from "./store.ts";

const dir = mkdtempSync(join(tmpdir(), "tricampus-stores-"));
afterAll(() => rmSync(dir, { recursive: true }));
const factory = new IDBFactory() as unknown as DatabaseFactory;

storeSuite("store in memory", { open: async () => new MemoryStore(), outlivesRuns: false });
storeSuite("store in a file", {
  open: async (name) => new FileStore(join(dir, name)),
  outlivesRuns: true,
});
storeSuite("store in IndexedDB", {
  open: (name) => IndexedDbStore.open(name, factory),
  outlivesRuns: true,
});

test("store in IndexedDB: a database that takes no writes ends it, and says why", async () => {
  const full = {
    open: (name: string, version: number) => {
      const request = factory.open(name, version);
      const refusing = (database: typeof request.result) => ({
        ...{ createObjectStore: database.createObjectStore.bind(database), close: () => {} },
        transaction: (store: string, mode: "readonly" | "readwrite") => {
          if (mode === "readwrite") throw new Error("quota exceeded");
          return database.transaction(store, mode);
        },
      });
      return new Proxy(request, {
        get: (target, key) =>
          key === "result" ? refusing(target.result) : Reflect.get(target, key, target),
        set: (target, key, value) => Reflect.set(target, key, value, target),
      });
    },
  };
  const store = await IndexedDbStore.open("full", full);
  store.add({ messages: [], settings: [], groups: [] }, { ...EMPTY_SNAPSHOT, version: 1 });
  await expect(store.flush()).rejects.toThrow("takes no writes");
  expect(() => store.belongTo("u")).toThrow("takes no writes");
});
