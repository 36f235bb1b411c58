/**
 * Writing settings into an inbox, within bounds. Their rows have no age: what a device shared stands until the
 * user is erased, and whoever may write can make up conversations. So a mark of each kind counts the rows of it,
 * raised by the change that makes them; rows from before there were counts are not among them. It is raised from what
 * was read, so of one owner's changes one goes on at a time, or of many at once nearly all would fail again and again.
 *
 * A position that does not rise must keep nothing else from standing: each is a change of its own. But all that
 * make rows are one change, for it is one count that they raise.
 */
import type { ConversationSetting } from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";
import {
  makeSetSettingsReply,
  type SetSettingsReply,
} from "../../../protos/gen/tricampus/data/v1/inbox_codec.ts";
import {
  type ChangeReply,
  type Guard,
  Level,
  type TableChange,
} from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../kvsvr/client.ts";
import type { CallOptions } from "../../svrkit/call.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { rest } from "../../svrkit/rest.ts";
import { OwnerTurns } from "./owner-turns.ts";
import { deliveredRowKey, inboxKey } from "./rows.ts";
import { countMark, kindOfRow, type SettingKind, settingChanges } from "./settings.ts";

export type RowsMax = Partial<Readonly<Record<SettingKind, number>>>;

/** peerReadSequence: others write it, one a conversation in which the user has said something. */
export const SETTING_ROWS_MAX: RowsMax = {
  ...{ readSequence: 50_000, clearedSequence: 50_000, pinnedAtMs: 50_000, muted: 50_000 },
  /** Up to 16 KB each. */
  draft: 10_000,
  hiddenSequence: 100_000,
};
/** Few other processes make rows of one user at the same time. */
const ATTEMPTS_MAX = 20;
/** Before the second attempt; it grows to PAUSE_GROWTH_MAX times that. */
const PAUSE_MS_MAX = 20;
const PAUSE_GROWTH_MAX = 8;

interface Settings {
  readonly owner: string;
  readonly settings: readonly ConversationSetting[];
  readonly rowsMax: RowsMax;
}

export class SettingWriter {
  readonly #kv: KvClient;
  readonly #turns = new OwnerTurns();

  constructor(kv: KvClient) {
    this.#kv = kv;
  }

  async write(asked: Settings, options: CallOptions): Promise<SetSettingsReply> {
    const work = () => writeSettings(this.#kv, asked, options);
    const isCounted = Object.keys(asked.rowsMax).length > 0;
    return isCounted ? this.#turns.run(asked.owner, work) : work();
  }
}

async function writeSettings(
  kv: KvClient,
  { owner, settings, rowsMax }: Settings,
  options: CallOptions,
): Promise<SetSettingsReply> {
  const key = inboxKey(owner);
  const changes = settingChanges(settings, deliveredRowKey);
  const write = (change: TableChange) => kv.change({ key, change }, options);
  for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
    // What the nearest replica holds is newest as a rule; when it is not, the counts say so.
    const level = attempt === 0 ? Level.ANY : Level.STRONG;
    const standing = await read(kv, { owner, changes, rowsMax, level }, options);
    const { making, others } = planRows(changes, standing, rowsMax);
    const made = making && (await write(making));
    if (made?.applied === false) {
      await rest(Math.random() * PAUSE_MS_MAX * Math.min(attempt + 1, PAUSE_GROWTH_MAX));
      continue;
    }
    const replies = await Promise.all(others.map(write));
    return replyOf(made === undefined ? replies : [made, ...replies]);
  }
  const message = "the user's settings are being set elsewhere: try again";
  throw new RpcError("ABORTED", message, { retryable: true });
}

interface Asked extends Pick<Settings, "owner" | "rowsMax"> {
  readonly changes: readonly TableChange[];
  readonly level: Level;
}

interface Standing {
  /** Names of the rows that are there. */
  readonly rows: ReadonlySet<string>;
  readonly counts: ReadonlyMap<SettingKind, number>;
}

async function read(
  kv: KvClient,
  { owner, changes, rowsMax, level }: Asked,
  options: CallOptions,
): Promise<Standing> {
  const counted = changes.flatMap(rowsOf).filter((row) => rowsMax[kindOfRow(row)] !== undefined);
  const kinds = [...new Set(counted.map(kindOfRow))];
  if (kinds.length === 0) return { rows: new Set(), counts: new Map() };
  const request = { key: inboxKey(owner), rows: counted, marks: kinds.map(countMark), level };
  const { rows, marks } = await kv.getRows(request, options);
  return {
    rows: new Set(rows.map(({ row }) => nameOf(row))),
    counts: new Map(kinds.map((kind, i) => [kind, marks[i] ?? 0])),
  };
}

/** `making`: the changes that make rows, as one; `others` come after it. */
function planRows(
  changes: readonly TableChange[],
  { rows, counts }: Standing,
  rowsMax: RowsMax,
): { making: TableChange | undefined; others: TableChange[] } {
  const made = new Set<string>();
  const added = new Map<SettingKind, number>();
  const making: TableChange[] = [];
  const others: TableChange[] = [];
  for (const change of changes) {
    const fresh = rowsOf(change).filter(
      (row) => counts.has(kindOfRow(row)) && !rows.has(nameOf(row)),
    );
    // A second position of the same conversation may be the lower one.
    const isFirst = fresh.length > 0 && !fresh.some((row) => made.has(nameOf(row)));
    (isFirst ? making : others).push(change);
    if (!isFirst) continue;
    for (const row of fresh) {
      if (made.has(nameOf(row))) continue;
      made.add(nameOf(row));
      added.set(kindOfRow(row), (added.get(kindOfRow(row)) ?? 0) + 1);
    }
  }
  if (making.length === 0) return { making: undefined, others };
  const raised = [...added].map(([kind, more]) =>
    raise(kind, counts.get(kind)!, { more, rowsMax }),
  );
  const guards = [...making.flatMap((change) => change.guards), ...raised];
  const operations = making.flatMap((change) => change.operations);
  return { making: { guards, operations }, others };
}

function raise(
  kind: SettingKind,
  from: number,
  { more, rowsMax }: { more: number; rowsMax: RowsMax },
): Guard {
  const max = rowsMax[kind]!;
  const to = from + more;
  if (to > max) {
    throw new RpcError(
      "RESOURCE_EXHAUSTED",
      `of a user's settings "${kind}" ${max} are kept, and there are ${from}`,
    );
  }
  return { guard: { case: "mark", value: { name: countMark(kind), from, to, allowSkip: false } } };
}

function replyOf(replies: readonly ChangeReply[]): SetSettingsReply {
  const applied = replies.filter((reply) => reply.applied);
  return makeSetSettingsReply({
    version: Math.max(0, ...applied.map((reply) => reply.version)),
    alone: applied.length === 1 && applied[0]!.alone,
    changed: applied.length > 0,
  });
}

/** The settings' rows that a change writes. */
function rowsOf({ operations }: TableChange): Uint8Array[] {
  return operations.flatMap(({ operation }) =>
    operation?.case === "upsert" ? [operation.value.row] : [],
  );
}

function nameOf(row: Uint8Array): string {
  return Buffer.from(row).toString("latin1");
}
