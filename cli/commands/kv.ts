/** `tricampus kv get|put|delete|cas|scan|watch`: the store's keys and tables, as the operator. */
import { readFileSync, statSync, writeFileSync } from "node:fs";
import {
  type Key,
  Level,
  type VersionedRow,
  type WriteReply,
  type WriteRequest,
} from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KvClient } from "../../services/kvsvr/client.ts";
import { type CommandCall, type CommandDefinition, numberOption, textOption } from "../command.ts";
import { parseTime } from "../duration.ts";
import { EXIT, type ExitCode, Failure } from "../failure.ts";
import { bytesJson, type Notation, parseBytes, showBytes } from "../kv/bytes.ts";
import { rowsJson } from "../kv/rows.ts";
import { describeKey, KEYSPACE_NAMES, keyOf, notationOf, withStore } from "../kv/store.ts";
import { WATCH_MS_MAX, watchKey } from "../kv/watch.ts";
import { printJson } from "../output/json.ts";
import { formatTable } from "../output/table.ts";

const KEY = [
  ["<keyspace>", KEYSPACE_NAMES],
  ["<key>", "a key or a table"],
] as const;
const VALUE = ["[value]", "what to write; else --file"] as const;
const HEX = ["--hex", "keys, rows and values are hex, on the way in and out"] as const;
const READ_FILE = ["--file <path>", "write this file's bytes"] as const;

/** Above what the store takes, which says its own limit; no more than this is read into memory. */
const FILE_BYTES_MAX = 4 * 1024 * 1024;
const SCAN_ROWS = 1_000;

export const kvCommands: readonly CommandDefinition[] = [
  {
    name: "kv get",
    summary: "read a key's value; an absent one ends with exit code 1",
    arguments: KEY,
    options: [HEX, ["--file <path>", "write the value's bytes into this file"]],
    run: (call) => withStore(call, (store) => get(call, store)),
  },
  {
    name: "kv put",
    summary: "write a key's value",
    arguments: [...KEY, VALUE],
    options: [HEX, READ_FILE],
    run: (call) => writeCommand(call, { case: "put", value: givenValue(call) }, undefined),
  },
  {
    name: "kv delete",
    summary: "delete a key; its version goes on",
    arguments: KEY,
    options: [HEX],
    run: (call) => writeCommand(call, { case: "delete", value: true }, undefined),
  },
  {
    name: "kv cas",
    summary: "write a key's value if its version is the one given; else exit code 1",
    arguments: [...KEY, VALUE],
    options: [["--version <n>", "the version it must have; 0: never written"], HEX, READ_FILE],
    run: (call) => {
      const version = numberOption(call, "version");
      if (version === undefined) {
        throw new Failure(EXIT.usage, "say which version the key must have: --version <n>");
      }
      return writeCommand(call, { case: "put", value: givenValue(call) }, version);
    },
  },
  {
    name: "kv scan",
    summary: "list a table's rows, or what changed in it after a version",
    arguments: KEY,
    options: [
      ["--from <row>", "the first row"],
      ["--to <row>", "the row to stop before"],
      ["--changes-after <version>", "rows changed after this version, deleted ones included"],
      ["--limit <n>", `stop after about so many rows (${SCAN_ROWS})`],
      HEX,
    ],
    run: (call) => withStore(call, (store) => scan(call, store)),
  },
  {
    name: "kv watch",
    summary: "print a key's or table's new versions until Ctrl-C; of quick ones, the last",
    arguments: KEY,
    options: [["--for <time>", "stop after so long: 30s, 10m or 2h; a number alone: seconds"], HEX],
    run: async (call) => {
      const given = textOption(call, "for");
      const forMs = given === undefined ? WATCH_MS_MAX : watchMs(given);
      const key = keyOf(call);
      await withStore(call, (store) => watchKey({ call, store, key, forMs }));
      return EXIT.ok;
    },
  },
];

async function get(call: CommandCall, store: KvClient): Promise<ExitCode> {
  const key = keyOf(call);
  const { found, value, version } = await store.get({ key, level: Level.STRONG });
  if (!found) {
    const why =
      version === 0 ? "was never written" : `is deleted, or was never written: version ${version}`;
    return notDone(call, { found, version }, `${nameOf(call, key)} ${why}`);
  }
  const path = textOption(call, "file");
  if (path !== undefined) writeFileSync(path, value, { mode: 0o600 });
  const notation = notationOf(call);
  const content = path === undefined ? bytesJson("value", value, notation) : { file: path };
  if (call.json) printJson({ found, version, ...content });
  else if (path === undefined) console.log(showBytes(value, notation));
  else console.log(`Wrote ${value.length} bytes of version ${version} to ${path}.`);
  return EXIT.ok;
}

type Write = NonNullable<WriteRequest["write"]>;

async function writeCommand(
  call: CommandCall,
  write: Write,
  expectedVersion: number | undefined,
): Promise<ExitCode> {
  const key = keyOf(call);
  const request = { key, write, expectedVersion };
  const reply: WriteReply = await withStore(call, (store) => store.write(request));
  const { applied, version } = reply;
  if (!applied) {
    const text = `${nameOf(call, key)} is at version ${version}, not ${expectedVersion}: read it again`;
    return notDone(call, { applied, version }, text);
  }
  if (call.json) printJson({ applied, version });
  else console.log(`${write.case === "put" ? "Written" : "Deleted"}: version ${version}.`);
  return EXIT.ok;
}

function givenValue(call: CommandCall): Buffer {
  const value = call.arguments[2];
  const path = textOption(call, "file");
  if ((value === undefined) === (path === undefined)) {
    throw new Failure(EXIT.usage, "give the value, or --file <path>");
  }
  if (path === undefined) return parseBytes(value!, notationOf(call), "the value");
  const facts = statSync(path, { throwIfNoEntry: false });
  if (facts?.isFile() !== true) throw new Failure(EXIT.usage, `--file: ${path} is no file`);
  if (facts.size > FILE_BYTES_MAX) {
    throw new Failure(EXIT.usage, `--file: ${path} has ${facts.size} bytes: that is no value`);
  }
  return readFileSync(path);
}

/** The rows of one answer, and where to go on when there are more. */
interface Scanned {
  readonly version: number;
  readonly rows: readonly VersionedRow[];
  /** The option that goes on behind the last row, and its value. */
  readonly next: readonly [option: string, value: string] | undefined;
}

/** Scripts say seconds, from when that was all that could be said. */
function watchMs(given: string): number {
  return parseTime("--for", /^\d+$/.test(given) ? `${given}s` : given, WATCH_MS_MAX);
}

async function scan(call: CommandCall, store: KvClient): Promise<ExitCode> {
  const key = keyOf(call);
  const notation = notationOf(call);
  const after = numberOption(call, "changesAfter");
  const limit = numberOption(call, "limit") ?? SCAN_ROWS;
  const [from, to] = ["from", "to"].map((name) => textOption(call, name));
  if (limit === 0) throw new Failure(EXIT.usage, "--limit: 1 row at least");
  if (after !== undefined && (from !== undefined || to !== undefined)) {
    throw new Failure(
      EXIT.usage,
      "--changes-after goes through all rows: leave out --from and --to",
    );
  }
  const range = {
    first: parseBytes(from ?? "", notation, "--from"),
    end: parseBytes(to ?? "", notation, "--to"),
  };
  const scanned =
    after === undefined
      ? await scanRows(store, { key, ...range }, { limit, notation })
      : await scanChanges(store, { key, afterVersion: after }, limit);
  if (call.json) printScanJson(scanned, notation);
  else printScan(scanned, notation, after !== undefined);
  return EXIT.ok;
}

/** Page by page: each page is a snapshot, the whole is not. */
async function scanRows(
  store: KvClient,
  range: { key: Key; first: Uint8Array; end: Uint8Array },
  { limit, notation }: { limit: number; notation: Notation },
): Promise<Scanned> {
  const rows: VersionedRow[] = [];
  let { first } = range;
  for (;;) {
    // One more than wanted: it is where to go on.
    const request = { ...range, first, limit: limit + 1 - rows.length, level: Level.STRONG };
    const page = await store.scanRows({ ...request, reverse: false });
    rows.push(...page.rows);
    const last = rows.at(-1);
    if (rows.length > limit) {
      const next = showBytes(rows.pop()!.row, notation);
      return { version: page.version, rows, next: ["--from", next] };
    }
    if (!page.more || last === undefined) return { version: page.version, rows, next: undefined };
    first = Buffer.concat([last.row, Buffer.from([0])]);
  }
}

async function scanChanges(
  store: KvClient,
  from: { key: Key; afterVersion: number },
  limit: number,
): Promise<Scanned> {
  const rows: VersionedRow[] = [];
  let { afterVersion } = from;
  for (;;) {
    const request = { ...from, afterVersion, limit: limit - rows.length, level: Level.STRONG };
    const page = await store.scanChanges(request);
    rows.push(...page.rows);
    afterVersion = page.throughVersion;
    if (!page.more) return { version: page.version, rows, next: undefined };
    if (rows.length >= limit) {
      return { version: page.version, rows, next: ["--changes-after", String(afterVersion)] };
    }
  }
}

function printScanJson({ version, rows, next }: Scanned, notation: Notation): void {
  const listed = rowsJson(rows, notation);
  printJson({ version, rows: listed, ...(next === undefined ? {} : { next: next.join(" ") }) });
}

function printScan(scanned: Scanned, notation: Notation, ofChanges: boolean): void {
  const { version, rows, next } = scanned;
  const cells = rows.map((row) => [
    String(row.version),
    ...(ofChanges ? [row.deleted ? "deleted" : "written"] : []),
    showBytes(row.row, notation),
    showBytes(row.value, notation),
  ]);
  const head = ["version", ...(ofChanges ? ["change"] : []), "row", "value"];
  if (rows.length > 0) console.log(formatTable(head, cells));
  console.log(`${rows.length} rows; the table is at version ${version}`);
  if (next !== undefined) console.log(`more follow: go on with ${next[0]} '${next[1]}'`);
}

/** What was asked for is not so: JSON for programs, else one line, and exit code 1. */
function notDone(call: CommandCall, json: object, text: string): ExitCode {
  if (!call.json) throw new Failure(EXIT.failed, text);
  printJson(json);
  return EXIT.failed;
}

function nameOf(call: CommandCall, key: Key): string {
  return describeKey(key, notationOf(call));
}
