import { afterAll, beforeAll } from "vitest";
import { startCluster, type TestCluster } from "../kvsvr/testing/cluster.ts";
import { testSegmentStore } from "./segment-store.suite.ts";
import { KvSegmentStore } from "./segment-store.ts";
import { MemorySegmentStore } from "./testing/memory-segment-store.ts";

let cluster: TestCluster;

beforeAll(async () => {
  cluster = await startCluster();
});

afterAll(() => cluster.close());

const memory = new MemorySegmentStore();
testSegmentStore("records in memory", () => memory);
testSegmentStore("records in the store", () => new KvSegmentStore(cluster.kv));
