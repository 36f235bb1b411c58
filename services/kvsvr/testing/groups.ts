/** Several KV groups in one process, for tests, and one client that follows the map of their slots. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BlockFollower } from "../../control/follower.ts";
import { SlotsClient } from "../../control/slots-client.ts";
import { Beat } from "../../svrkit/beat.ts";
import { Client } from "../../svrkit/client.ts";
import { Blocks } from "../../svrkit/failover/blocks.ts";
import { Shards } from "../../svrkit/failover/shards.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { systemTextFiles } from "../../svrkit/text-files.ts";
import { groupService, KvClient } from "../client.ts";
import { type Directory, startCluster, type TestCluster } from "./cluster.ts";

export interface TestGroups {
  /** Position 0 is group 1. */
  readonly groups: readonly TestCluster[];
  readonly kv: KvClient;
  readonly shards: Shards;
  readonly slots: SlotsClient;
  /** Resolves when no move is under way. */
  moved(timeoutMs?: number): Promise<void>;
  close(): Promise<void>;
}

export async function startGroups(count: number): Promise<TestGroups> {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-groups-"));
  const directory: Directory = new Map();
  const shards = new Shards();
  const groups: TestCluster[] = [];
  for (let group = 1; group <= count; group++)
    groups.push(await startCluster({ group, directory, shards }));
  const client = new Client({ process: "test", campus: "" });
  const callee = (service: string) =>
    client.callee(service, directory.get(service)!, { caller: "test" });
  const follower = new BlockFollower({
    ...{ kvsvr: callee(groupService(1)), campus: "a", blocks: new Blocks(), shards },
    ...{ files: systemTextFiles, path: join(dir, "blocks.json"), log: silentLogger() },
    ...{ now: Date.now, beat: new Beat() },
  });
  follower.start();
  const slots = new SlotsClient(callee(groupService(1)));
  return {
    groups,
    shards,
    slots,
    kv: KvClient.of({ shards, callee }),
    async moved(timeoutMs = 20_000) {
      const deadlineMs = performance.now() + timeoutMs;
      for (;;) {
        const { move } = await slots.read();
        if (move === undefined) return;
        if (performance.now() > deadlineMs)
          throw new Error(`still under way: ${JSON.stringify(move)}`);
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
    async close() {
      follower.stop();
      client.stop();
      await Promise.all(groups.map((group) => group.close()));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
