/**
 * KVSvr beside etcd on this machine: three replicas and the load on them, then three etcd nodes and the
 * same loads. Real processes, logs and disks; both stores get the same cores in turn.
 *
 *   node bench/kv.ts [--seconds 10] [--warm-up 2] [--keys 100000] [--bytes 256] [--dir DIR]
 *                    [--phases put256,put1000,get256,change,wideChange,failover] [--without-etcd]
 */
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { measureEtcd } from "./kv/etcd.ts";
import { readOptions } from "./kv/options.ts";
import { measureOurs } from "./kv/ours.ts";
import { printReport } from "./kv/report.ts";

const options = readOptions(process.argv.slice(2));
const root = options.dir ?? mkdtempSync(join(tmpdir(), "tricampus-bench-"));
mkdirSync(root, { recursive: true });
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));
try {
  const ours = await measureOurs(options, root);
  const etcd = options.withEtcd ? await measureEtcd(options, root) : undefined;
  printReport(ours, etcd);
} finally {
  if (options.dir === undefined) rmSync(root, { recursive: true, force: true });
}
