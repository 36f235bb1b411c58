/** What devices show as unread, for the ledger: JSON lines, one file a generator. */
import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { DeviceStore } from "../../sdk/store.ts";
import type { ShownUnread } from "../ledger/ledger.ts";

interface ShownByDevice {
  /** Login name. */
  readonly user: string;
  readonly device: string;
  readonly shown: readonly ShownUnread[];
}

const SUFFIX = ".unread.jsonl";

export function writeUnread(
  path: { storesDir: string; generator: number },
  { user, device, store }: { user: string; device: string; store: DeviceStore },
): void {
  const shown = store.book
    .list({ limit: Number.POSITIVE_INFINITY })
    .map(({ conversationId, unread, readSequence }): ShownUnread => {
      return { conversationId, unread, readSequence };
    });
  const line: ShownByDevice = { user, device, shown };
  const file = join(path.storesDir, `${path.generator}${SUFFIX}`);
  appendFileSync(file, `${JSON.stringify(line)}\n`);
}

export function* readUnread(storesDir: string): Generator<ShownByDevice> {
  for (const name of readdirSync(storesDir)) {
    if (!name.endsWith(SUFFIX)) continue;
    const lines = readFileSync(join(storesDir, name), "utf8").split("\n");
    for (const line of lines) if (line !== "") yield JSON.parse(line) as ShownByDevice;
  }
}
