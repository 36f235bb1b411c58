/** What the API server itself accepts and refuses, and what it says then. Nothing here changes anything. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { parseAllDocuments } from "yaml";
import { kubectl, tryKubectl, wholePlatform } from "./testing/cluster.ts";

const EXAMPLES = join(import.meta.dirname, "../../crds/examples");
const DRY = "--dry-run=server";

beforeAll(() => wholePlatform());

test.each(readdirSync(EXAMPLES))("crds/examples/%s is accepted", async (name) => {
  const { code, stderr } = await tryKubectl(["apply", DRY, "-f", join(EXAMPLES, name)]);
  expect(stderr.replaceAll(/^Warning: .*\n/gm, "")).toBe("");
  expect(code).toBe(0);
});

interface Example {
  kind: string;
  metadata: { name: string };
  spec: Record<string, unknown>;
}

/** An example of that kind that is not in the cluster, with other values at some paths of its spec. */
function changed(kind: string, changes: Readonly<Record<string, unknown>>): string {
  const text = readFileSync(join(EXAMPLES, "standard.yaml"), "utf8");
  const all = parseAllDocuments(text).map((one) => one.toJS() as Example);
  const object = all.find((one) => one.kind === kind)!;
  for (const [path, value] of Object.entries(changes)) {
    const steps = path.split(".");
    const last = steps.pop()!;
    let at = object.spec;
    for (const step of steps) {
      at[step] ??= {};
      at = at[step] as Record<string, unknown>;
    }
    at[last] = value;
  }
  return JSON.stringify(object);
}

const campuses = (...zones: string[]) =>
  zones.map((zone, i) => ({ name: "abc"[i] ?? `x${i}`, zone }));

const BAD: [why: string, kind: string, changes: Record<string, unknown>, says: string][] = [
  [
    "two campuses in one zone",
    "DataCenter",
    { campuses: campuses("z1", "z1", "z2") },
    "three campuses need three different zones",
  ],
  [
    "two campuses",
    "DataCenter",
    { campuses: campuses("z1", "z2") },
    "should have at least 3 items",
  ],
  [
    "logs replaced where they are on a replica's volume",
    "DataCenter",
    { profile: "Dev", replaceLogs: { campus: "b", act: "once", reason: "its disk" } },
    "with profile Dev the logs are replaced with KVGroup",
  ],
  ["an id above 255", "DataCenter", { id: 256 }, "should be less than or equal to 255"],
  [
    "a size that is not the same in all campuses",
    "DataCenter",
    { services: [{ name: "access", replicas: 4 }] },
    "must be divisible by three",
  ],
  [
    "several queues a campus",
    "DataCenter",
    { services: [{ name: "queue", replicas: 6 }] },
    "one pod a campus",
  ],
  [
    "a service that the layout does not have",
    "DataCenter",
    { services: [{ name: "text" }] },
    "with layout Compact there are",
  ],
  [
    "NATS of somebody else in two campuses",
    "DataCenter",
    {
      "engines.queue.kind": "Nats",
      "engines.queue.nats.external": ["a", "b"].map((campus) => ({
        campus,
        url: `nats://${campus}:4222`,
      })),
    },
    "one server for each of the three campuses",
  ],
  [
    "media in a bucket without its name",
    "DataCenter",
    { "engines.media.kind": "S3" },
    "kind S3 needs s3",
  ],
  [
    "media in a bucket, with its keys in the address",
    "DataCenter",
    {
      "engines.media.kind": "S3",
      "engines.media.s3": {
        endpoint: "https://key:secret@s3.example",
        bucket: "media",
        secretName: "s3",
      },
    },
    "no user and password in the address",
  ],
  ["a network that is none", "DataCenter", { foreignNetworks: ["10.0.0.7"] }, "no network"],
  [
    "an address of a network that is none",
    "DataCenter",
    { foreignNetworks: ["10.0.0.300/8"] },
    "no network",
  ],
  ["a field that does not exist", "DataCenter", { zones: 3 }, 'unknown field "spec.zones"'],
  ["a campus's name in capitals", "Campus", { name: "East" }, "should match"],
  [
    "a block of a service that does not exist",
    "Campus",
    { block: { reason: "a new switch", until: "2036-11-21T15:04:05Z", service: "txt" } },
    'Unsupported value: "txt"',
  ],
  [
    "a block of a service that nobody chooses",
    "Campus",
    { block: { reason: "a new switch", until: "2036-11-21T15:04:05Z", service: "fanout" } },
    'Unsupported value: "fanout"',
  ],
  [
    "a block without an end",
    "Campus",
    { block: { reason: "a new switch" } },
    "spec.block.until: Required value",
  ],
  [
    "a block without a reason",
    "Campus",
    { block: { reason: "", until: "2030-01-01T12:00:00Z" } },
    "should be at least 3 chars long",
  ],
  ["a ninth group", "KVGroup", { number: 9 }, "should be less than or equal to 8"],
  ["an unknown kind of data", "KVGroup", { keyspaces: ["songs"] }, "Unsupported value"],
  ["an amount that is none", "KVGroup", { "storage.size": "ten" }, "should match"],
  [
    "volumes that are deleted without the name said again",
    "KVGroup",
    { "storage.policy": "Delete" },
    "say this object's name in storage.confirmDelete",
  ],
];

test.each(BAD)("refused: %s", async (_, kind, changes, says) => {
  const input = changed(kind, changes);
  const args = ["create", DRY, "--validate=strict", "-f", "-"];
  const { code, stderr } = await tryKubectl(args, { input });
  expect(code).not.toBe(0);
  expect(stderr).toContain(says);
});

test.each([
  ["datacenter", "main", { id: 2 }, "id cannot be changed"],
  ["datacenter", "main", { layout: "Split" }, "layout cannot be changed"],
  ["datacenter", "main", { profile: "Dev" }, "profile cannot be changed"],
  ["datacenter", "main", { tls: { mode: "Plain" } }, "tls.mode cannot be changed"],
  ["datacenter", "main", { engines: { queue: { kind: "Nats" } } }, "kind cannot be changed"],
  [
    "datacenter",
    "main",
    { engines: { media: { storage: { size: "1Mi" } } } },
    "a volume never shrinks",
  ],
  ["campus", "b", { zone: "elsewhere" }, "zone cannot be changed"],
  ["kvgroup", "main-1", { number: 2 }, "number cannot be changed"],
  ["kvgroup", "main-1", { storage: { size: "1Gi" } }, "a volume never shrinks"],
  ["kvgroup", "main-1", { storage: { className: "fast" } }, "className cannot be changed"],
])("refused: %s %s becomes %o", async (kind, name, spec, says) => {
  const patch = JSON.stringify({ spec });
  const args = ["patch", kind, name, DRY, "--type=merge", "-p", patch];
  const { code, stderr } = await tryKubectl(args);
  expect(code).not.toBe(0);
  expect(stderr).toContain(says);
});

test("kubectl explain says what fields are for", async () => {
  expect(await kubectl("explain", "campus.spec.block")).toContain("out of every routing decision");
  expect(await kubectl("explain", "kvgroup.spec.storage.size")).toContain("never shrinks");
  expect(await kubectl("explain", "datacenter.spec")).not.toMatch(/^\s+<no description>/m);
});
