/**
 * Whatever goes wrong between it and the server, a copy is what the server has, a moment after the
 * server can be reached. Each fault has a server of its own, and all run side by side.
 */
import { describe, expect, test } from "vitest";
import { ApiDouble, type Fault } from "../testing/api-double/server.ts";
import { ApiClient } from "./api-client.ts";
import { plainConnection } from "./connection.ts";
import { type Cached, isNewer, ListWatch } from "./list-watch.ts";

test("versions: decimal ones are compared, others are only the same or not", () => {
  expect(isNewer("10", "9")).toBe(true);
  expect(isNewer("9", "10")).toBe(false);
  expect(isNewer("10", "10")).toBe(false);
  expect(isNewer("123456789012345678901", "123456789012345678900")).toBe(true);
  expect(isNewer("b", "a")).toBe(true);
  expect(isNewer("a", "a")).toBe(false);
});

const PLACE = { resource: "/api/v1 configmaps", namespace: "n" };
/** Watches end after 1 s or 2 here, and are broken off half a second later. */
const TIMING = { watchSeconds: 1, spreadSeconds: 1, graceMs: 500, relistMs: 2_000 };

interface Kept extends Cached {
  readonly value: string;
}

/** As copies in columns (observe/children.ts): what has no name is nowhere to be looked for. */
class Named extends Map<string, Kept> {
  override get(name: string): Kept | undefined {
    if (name === undefined) throw new Error("something without a name was looked for");
    return super.get(name);
  }
}

class Rig {
  readonly double = new ApiDouble();
  readonly told: string[] = [];
  readonly troubles: string[] = [];
  port = 0;
  client!: ApiClient;
  watch!: ListWatch<Kept>;

  async start(objects = 3, project = this.project, timing = TIMING): Promise<this> {
    for (let n = 1; n <= objects; n++) this.set(`o${n}`, "first");
    const base = await this.double.listen();
    this.port = Number(new URL(base).port);
    this.client = new ApiClient(plainConnection(base));
    this.watch = new ListWatch<Kept>({
      client: this.client,
      path: "/api/v1/namespaces/n/configmaps",
      project,
      onChange: (key, now, before) => {
        this.told.push(`${key}: ${before?.value ?? "-"} > ${now?.value ?? "-"}`);
      },
      items: new Named(),
      onTrouble: (error) => this.troubles.push(error.message),
      timing,
    });
    this.watch.start();
    return this;
  }

  readonly project = (object: { metadata: { resourceVersion?: string }; [f: string]: unknown }) => {
    const { value } = object.data as { value: string };
    return { resourceVersion: object.metadata.resourceVersion!, value };
  };

  set(name: string, value: string): void {
    const object = { apiVersion: "v1", kind: "ConfigMap", metadata: { name }, data: { value } };
    this.double.objects.apply(PLACE, object, { manager: "test", force: true });
  }

  remove(name: string): void {
    this.double.objects.delete(PLACE, name);
  }

  /** What the copy has, or should have, as text. */
  get copy(): string {
    return [...this.watch.items]
      .map(([name, { value }]) => `${name}=${value}`)
      .sort()
      .join(" ");
  }

  get truth(): string {
    const all = this.double.objects.all(PLACE.resource);
    const values = all.map((o) => `${o.metadata.name}=${(o.data as { value: string }).value}`);
    return values.sort().join(" ");
  }

  /** Resolves when it holds, or after a while. */
  async until(holds: () => boolean, ms = 8_000): Promise<void> {
    const giveUpMs = performance.now() + ms;
    while (!holds() && performance.now() < giveUpMs)
      await new Promise((resolve) => setTimeout(resolve, 10));
  }

  async stop(): Promise<void> {
    await this.watch?.stop();
    this.client?.stop();
    await this.double.close();
  }
}

type Finished = (stop: () => Promise<void>) => void;

const newRig = (onTestFinished: Finished, objects?: number, timing = TIMING) => {
  const rig = new Rig();
  onTestFinished(() => rig.stop());
  return rig.start(objects, rig.project, timing);
};

const status = (code: number, retryAfterSeconds?: number): Fault => ({
  fault: "status",
  code,
  ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
});

/** Far back, so that nothing that happens later comes up to where versions were. */
async function putBack(rig: Rig): Promise<void> {
  const restore = rig.double.objects.backup();
  for (let n = 1; n <= 50; n++) rig.set("o3", `forgotten ${n}`);
  await rig.until(() => rig.copy === rig.truth);
  restore();
  rig.double.breakConnections();
}

/** Faults that last a while, then are over. */
const FAULTS: Record<string, (rig: Rig) => void | Promise<void>> = {
  "watches fall silent (half open)": (rig) => rig.double.muteWatches(),
  "new watches are silent from their start": (rig) => {
    rig.double.faultOf = ({ isWatch }) => (isWatch ? { fault: "mute" } : undefined);
    rig.double.cutWatches();
  },
  "watches say something all the time, and never a whole line": (rig) => {
    rig.double.faultOf = ({ isWatch }) => (isWatch ? { fault: "stall" } : undefined);
    rig.double.cutWatches();
  },
  "connections are reset": (rig) => rig.double.breakConnections(),
  "watches are ended early": (rig) => rig.double.cutWatches(),
  "watches are refused with a reset": (rig) => {
    rig.double.faultOf = ({ isWatch }) => (isWatch ? { fault: "reset" } : undefined);
    rig.double.cutWatches();
  },
  "the version is forgotten (410)": (rig) => {
    rig.double.cutWatches();
    rig.set("o1", "while compacting");
    rig.remove("o3");
    rig.double.objects.compact();
  },
  "too many requests (429 with Retry-After)": (rig) => {
    rig.double.faultOf = () => status(429, 1);
    rig.double.cutWatches();
  },
  "the server fails (503)": (rig) => {
    rig.double.faultOf = () => status(503);
    rig.double.cutWatches();
  },
  "lists are forgotten between their pages": (rig) => {
    rig.double.objects.compact();
    rig.double.cutWatches();
    rig.double.faultOf = ({ number }) => {
      if (number % 2 === 0) rig.double.forgetPages();
      return undefined;
    };
  },
  "the server was put back from a backup": putBack,
  "the server was put back from a backup, and tells nobody what is behind": (rig) => {
    rig.double.isSilentBehind = true;
    return putBack(rig);
  },
  "answers take long": (rig) => {
    rig.double.faultOf = () => ({ fault: "slow", ms: 300 });
    rig.double.cutWatches();
  },
  "the server is started anew": async (rig) => {
    rig.double.breakConnections();
    rig.double.faultOf = () => ({ fault: "reset" });
    await new Promise((resolve) => setTimeout(resolve, 200));
  },
};

describe.concurrent("a copy is true again after", () => {
  test.for(Object.keys(FAULTS))("%s", async (name, { expect, onTestFinished }) => {
    const rig = await newRig(onTestFinished, name.includes("pages") ? 1_200 : 3);
    await rig.until(() => rig.double.openWatches === 1);
    await FAULTS[name]!(rig);
    // What happens during the fault: a change, an addition, a deletion.
    rig.set("o1", "second");
    rig.set("new", "first");
    rig.remove("o2");
    await new Promise((resolve) => setTimeout(resolve, 700));
    rig.double.faultOf = () => undefined;
    await rig.until(() => rig.copy === rig.truth);
    expect(rig.copy).toBe(rig.truth);
    // Told once each, and nothing that did not happen.
    const ofNew = rig.told.filter((text) => text.startsWith("new:"));
    expect(ofNew).toEqual(["new: - > first"]);
    expect(rig.told.filter((text) => text.startsWith("o2:"))).toEqual([
      "o2: - > first",
      "o2: first > -",
    ]);
    expect(rig.watch.ageMs).toBeLessThan(10_000);
  });
});

test("a handler that throws loses nothing, and an object that cannot be read hides no other", async ({
  onTestFinished,
}) => {
  const rig = new Rig();
  onTestFinished(() => rig.stop());
  let throws = true;
  await rig.start(2, (object) => {
    const kept = rig.project(object);
    if (kept.value === "broken") throw new Error("it makes no sense");
    return kept;
  });
  const told = rig.told.push.bind(rig.told);
  rig.told.push = (...texts) => {
    if (throws && texts[0]!.startsWith("o1: first")) throw new Error("a handler's mistake");
    return told(...texts);
  };
  await rig.watch.synced;
  rig.set("o1", "second");
  rig.set("o2", "broken");
  rig.set("o3", "first");
  await expect.poll(() => rig.copy).toBe("o1=second o3=first");
  throws = false;
  rig.set("o1", "third");
  await expect.poll(() => rig.told.at(-1)).toBe("o1: second > third");
  expect(rig.troubles.join()).toContain("o2: it makes no sense");
  expect(rig.troubles.join()).toContain("a handler's mistake");
});

test("while the server is away it is asked at most about once a second, and known to be old", async ({
  onTestFinished,
}) => {
  const rig = await newRig(onTestFinished);
  await rig.watch.synced;
  let asked = 0;
  rig.double.faultOf = () => {
    asked += 1;
    return status(500);
  };
  rig.double.cutWatches();
  const startMs = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 3_000));
  const seconds = (performance.now() - startMs) / 1_000;
  expect(asked).toBeGreaterThan(1);
  expect(asked).toBeLessThanOrEqual(2 + 2 * seconds);
  expect(rig.watch.ageMs).toBeGreaterThan(2_000);
});

describe.concurrent("of a kind of which there is nothing to tell, a copy", () => {
  test("is told by bookmarks, which are of no object, and its watch goes on", async ({
    expect,
    onTestFinished,
  }) => {
    const rig = await newRig(onTestFinished);
    await rig.watch.synced;
    await new Promise((resolve) => setTimeout(resolve, 4_000));
    expect(rig.troubles).toEqual([]);
  });

  test("is known to be true without bookmarks, and is not listed anew", async ({
    expect,
    onTestFinished,
  }) => {
    const rig = await newRig(onTestFinished, 3, { ...TIMING, graceMs: 3_000, relistMs: 5_000 });
    await rig.watch.synced;
    rig.double.tellsBookmarks = false;
    await new Promise((resolve) => setTimeout(resolve, 9_000));
    await rig.until(() => rig.watch.ageMs < 4_000);
    expect(rig.watch.ageMs).toBeLessThan(4_000);
    expect(rig.watch.lists).toBe(1);
  });

  test("is listed anew while watches are dead, or ended by others", async ({
    expect,
    onTestFinished,
  }) => {
    const rig = await newRig(onTestFinished);
    await rig.watch.synced;
    rig.double.tellsBookmarks = false;
    rig.double.faultOf = ({ isWatch }) => (isWatch ? { fault: "mute" } : undefined);
    rig.double.cutWatches();
    await rig.until(() => rig.watch.lists === 3, 25_000);
    expect(rig.watch.lists).toBe(3);
    rig.double.faultOf = () => undefined;
    const cutting = setInterval(() => rig.double.cutWatches(), 700);
    onTestFinished(() => clearInterval(cutting));
    await rig.until(() => rig.watch.lists >= 5, 25_000);
    expect(rig.watch.lists).toBeGreaterThanOrEqual(5);
  }, 60_000);

  test("is known to be of what was before the server was put back from a backup", async ({
    expect,
    onTestFinished,
  }) => {
    const rig = await newRig(onTestFinished);
    await rig.watch.synced;
    rig.double.tellsBookmarks = false;
    rig.double.isSilentBehind = true;
    await putBack(rig);
    await rig.until(() => rig.troubles.some((text) => text.includes("went back")));
    await rig.until(() => rig.watch.lists === 2);
    expect(rig.copy).toBe(rig.truth);
  });
});

test("stopped during its list, it watches nothing", async ({ onTestFinished }) => {
  const rig = await newRig(onTestFinished);
  await rig.watch.synced;
  rig.double.faultOf = () => ({ fault: "slow", ms: 200 });
  rig.double.cutWatches();
  rig.double.objects.compact();
  await new Promise((resolve) => setTimeout(resolve, 20));
  await rig.watch.stop();
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(rig.double.openWatches).toBe(0);
});
