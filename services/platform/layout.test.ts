import { expect, test } from "vitest";
import { processConfigs } from "./briefing.ts";
import { checkConfig } from "./config.ts";
import { clientEndpoints, planLayout } from "./layout.ts";
import { SERVICES } from "./services.ts";

const compact = checkConfig({ dataDir: "/d" });
const modules = checkConfig({ dataDir: "/d", layout: "modules" });
const split = checkConfig({ dataDir: "/d", layout: "split" });

test("layout: compact is three processes a campus, and these services in each", () => {
  const lines = planLayout(compact).processes.map(
    (p) => `${p.name} ${p.doors.map((d) => `${d.port}:${d.services.join(",")}`).join(" ")}`,
  );
  const logic =
    "queuelog-1,queue,router,account-data,inbox-data,message-data,group-data," +
    "account,text,group,sync,fanout,conversation,retention,contact-data,contact," +
    "media-data,media,moments-data,moments,hooks";
  expect(lines).toEqual([
    "a/access 7101:access",
    "a/kvsvr 7102:kvsvr",
    `a/logic 7103:${logic} 7104:queuelog-2`,
    "b/access 7201:access",
    "b/kvsvr 7202:kvsvr",
    `b/logic 7203:${logic} 7204:queuelog-2`,
    "c/access 7301:access",
    "c/kvsvr 7302:kvsvr",
    `c/logic 7303:${logic} 7304:queuelog-2`,
  ]);
});

test("layout: with modules apart, media and moments share no process with messages", () => {
  const own = planLayout(modules).processes.filter(({ campus }) => campus === "b");
  expect(own.map(({ name }) => name)).toEqual(
    ["access", "kvsvr", "logic", "media", "moments"].map((name) => `b/${name}`),
  );
  expect(own.slice(3).map(({ services }) => services)).toEqual([
    ["media-data", "media"],
    ["moments-data", "moments"],
  ]);
});

test("layout: a door is served over gRPC too where a port is given", () => {
  const { processes } = planLayout(checkConfig({ grpcPorts: { "b/text": 9_100 } }));
  const doors = processes.flatMap((p) => p.doors.filter(({ grpcPort }) => grpcPort !== undefined));
  expect(doors).toMatchObject([{ port: 7_203, grpcPort: 9_100 }]);
  expect(() => checkConfig({ grpcPorts: { "b/http": 9_100 } })).toThrow(
    /^grpcPorts\.b\/http: name/,
  );
  expect(() => checkConfig({ grpcPorts: { "b/text": 7_203 } })).toThrow(/7203 would serve both/);
});

test("layout: split is one process a service and campus", () => {
  const { processes } = planLayout(split);
  expect(processes.map((p) => p.name)).toEqual(
    ["a", "b", "c"].flatMap((campus) => SERVICES.map((service) => `${campus}/${service}`)),
  );
  expect(processes.every((p) => p.doors.length === 1)).toBe(true);
});

test.each([
  ["compact", compact],
  ["modules", modules],
  ["split", split],
])(
  "layout: every service has one address a campus, where its process listens (%s)",
  (_, config) => {
    const { addresses, processes } = planLayout(config);
    expect(Object.keys(addresses)).toEqual([...SERVICES]);
    for (const service of SERVICES) {
      expect(addresses[service].map((a) => a.campus)).toEqual(["a", "b", "c"]);
      for (const { campus, port } of addresses[service]) {
        const listening = processes.filter((p) => p.doors.some((d) => d.port === port));
        expect(listening.map((p) => p.campus)).toEqual([campus]);
        expect(listening[0]!.services).toContain(service);
      }
    }
  },
);

test("layout: a configured port is used by the process and by its callers", () => {
  const config = checkConfig({ ports: { "b/kvsvr": 9_000, "c/http": 9_001 } });
  expect(planLayout(config).addresses.kvsvr.map((a) => a.port)).toEqual([7_102, 9_000, 7_302]);
  expect(clientEndpoints(config).map((e) => e.port)).toEqual([7_100, 7_200, 9_001]);
});

test("layout: a service keeps its data folder when the layout changes", () => {
  const folders = (config: typeof compact) =>
    processConfigs(config, "b").flatMap((p) => p.services.map((s) => s.dataDir));
  expect(folders(compact).sort()).toEqual(folders(split).sort());
});

test("briefing: only the account service is told where the private key lies", () => {
  for (const config of [compact, split]) {
    const told = processConfigs(config, "a").flatMap((p) => p.services);
    const knowing = told.filter((s) => JSON.stringify(s.options).includes("ticket-private"));
    expect(knowing.map((s) => s.name)).toEqual(["account"]);
  }
});

test("layout: a KV group more is a process more a campus, where everybody knew it would be", () => {
  for (const config of [compact, split]) {
    const more = { ...config, kvGroups: 3 };
    const [before, after] = [planLayout(config), planLayout(more)];
    expect(after.kvGroups).toEqual(before.kvGroups);
    const added = after.processes.filter((p) => !before.processes.some((q) => q.name === p.name));
    expect(added.map((p) => p.name)).toEqual(
      ["a", "b", "c"].flatMap((campus) => [`${campus}/kvsvr-2`, `${campus}/kvsvr-3`]),
    );
    for (const { campus, doors } of added) {
      const group = Number(doors[0]!.services[0]!.split("-")[1]);
      const planned = after.kvGroups[group - 1]!.find((address) => address.campus === campus);
      expect(doors.map(({ port }) => port)).toEqual([planned!.port]);
    }
    const told = processConfigs(more, "b").find((p) => p.name === "b/kvsvr-2")!;
    expect(told.services[0]!.options).toEqual({ group: 2 });
    expect(told.addresses["kvsvr-2"]).toEqual(after.kvGroups[1]);
  }
});
