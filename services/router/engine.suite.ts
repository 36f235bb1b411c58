/** What every router engine must do; called by each engine's test. */
import { describe, expect, test } from "vitest";
import { EXPIRY_MS, type RouterEngine } from "./engine.ts";

const T = 1_000_000;

function report(
  access: string,
  facts: { online?: [number, string, string?][]; offline?: number[]; complete?: boolean },
) {
  const online = (facts.online ?? []).map(([number, userId, device = "phone"]) => ({
    number,
    userId,
    device,
  }));
  const { offline = [], complete = false } = facts;
  return { access, campus: access[0]!, online, offline, complete };
}

export function routerEngineSuite(
  name: string,
  makeEngine: (options: { connectionsMax: number }) => RouterEngine | Promise<RouterEngine>,
): void {
  describe(`router engine ${name}`, () => {
    const where = async (engine: RouterEngine, userIds: string[], nowMs: number) =>
      (await engine.lookup(userIds, nowMs))
        .map((l) => `${l.userId}/${l.device} at ${l.access} ${l.number}`)
        .sort();

    test("a user is found at all access processes, and nobody else is", async () => {
      const engine = await makeEngine({ connectionsMax: 10 });
      await engine.register(
        report("a/access#1", {
          online: [
            [1, "u1"],
            [2, "u2"],
          ],
        }),
        T,
      );
      await engine.register(report("b/access#1", { online: [[1, "u1", "desk"]] }), T);
      expect(await where(engine, ["u1", "u3"], T)).toEqual([
        "u1/desk at b/access#1 1",
        "u1/phone at a/access#1 1",
      ]);
      expect(await engine.count(T)).toEqual({ users: 2, connections: 3 });
    });

    test("offline ends one connection, not the user's others", async () => {
      const engine = await makeEngine({ connectionsMax: 10 });
      await engine.register(
        report("a/access#1", {
          online: [
            [1, "u1"],
            [2, "u1", "desk"],
          ],
        }),
        T,
      );
      await engine.register(report("a/access#1", { offline: [1] }), T);
      expect(await where(engine, ["u1"], T)).toEqual(["u1/desk at a/access#1 2"]);
    });

    test("an entry expires when it is not said again", async () => {
      const engine = await makeEngine({ connectionsMax: 10 });
      await engine.register(
        report("a/access#1", {
          online: [
            [1, "u1"],
            [2, "u2"],
          ],
        }),
        T,
      );
      await engine.register(report("a/access#1", { online: [[1, "u1"]] }), T + 10_000);
      expect(await where(engine, ["u1", "u2"], T + EXPIRY_MS - 1)).toHaveLength(2);
      expect(await where(engine, ["u1", "u2"], T + EXPIRY_MS)).toEqual([
        "u1/phone at a/access#1 1",
      ]);
      expect(await engine.count(T + EXPIRY_MS)).toEqual({ users: 1, connections: 1 });
      expect(await engine.count(T + 10_000 + EXPIRY_MS)).toEqual({ users: 0, connections: 0 });
    });

    test("a complete report drops what it does not say, of its own process only", async () => {
      const engine = await makeEngine({ connectionsMax: 10 });
      await engine.register(
        report("a/access#1", {
          online: [
            [1, "u1"],
            [2, "u2"],
          ],
        }),
        T,
      );
      await engine.register(report("b/access#1", { online: [[7, "u2"]] }), T);
      await engine.register(report("a/access#1", { online: [[3, "u3"]], complete: true }), T);
      expect(await where(engine, ["u1", "u2", "u3"], T)).toEqual([
        "u2/phone at b/access#1 7",
        "u3/phone at a/access#1 3",
      ]);
    });

    test("a later start replaces an earlier one, whose late report is ignored", async () => {
      const engine = await makeEngine({ connectionsMax: 10 });
      await engine.register(report("a/access#1", { online: [[1, "u1"]] }), T);
      await engine.register(report("a/access#2", { online: [[1, "u2"]] }), T);
      await engine.register(report("a/access#1", { online: [[2, "u1"]] }), T);
      expect(await where(engine, ["u1", "u2"], T)).toEqual(["u2/phone at a/access#2 1"]);
    });

    test("a full engine refuses what is new and keeps what it has", async () => {
      const engine = await makeEngine({ connectionsMax: 2 });
      const online: [number, string][] = [
        [1, "u1"],
        [2, "u2"],
        [3, "u3"],
      ];
      await expect(
        (async () => engine.register(report("a/access#1", { online }), T))(),
      ).rejects.toMatchObject({
        code: "RESOURCE_EXHAUSTED",
      });
      expect(await engine.count(T)).toEqual({ users: 2, connections: 2 });
    });

    test("an access process must say which start it is", async () => {
      const engine = await makeEngine({ connectionsMax: 2 });
      const nameless = async () => engine.register(report("a/access", { online: [[1, "u1"]] }), T);
      await expect(nameless()).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
    });
  });
}
