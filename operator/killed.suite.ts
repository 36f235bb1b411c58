/**
 * Operators that die between any two writes, one after the other, while a data centre is installed, gets
 * another image, another size, another disk and a second group. Whatever the last one had begun, the
 * next one finishes: nothing is done twice, nothing stays half done, and no two campuses are ever
 * disturbed at once.
 */
import { expect, test } from "vitest";
import { isReady, PODS } from "./testing/api-double/disruptions.ts";
import { Rig } from "./testing/rig.ts";
import { sampleDataCenter, sampleGroup } from "./testing/samples.ts";

interface Options {
  readonly seeds: readonly number[];
  /** An operator dies at its n-th write, drawn up to this. */
  readonly writesMax: number;
  /** Its first part only. */
  readonly isShort?: boolean;
}

export function killedOperatorSuite({ seeds, writesMax, isShort = false }: Options): void {
  test.each(seeds)(
    "operators die at any write, and the next ones finish (seed %d)",
    async (seed) => {
      const random = generator(seed);
      const rig = await Rig.open();
      const worst = watchQuorum(rig);
      let isOver = false;
      const dying = (async () => {
        while (!isOver) {
          const isDead = await rig.startMortal(
            1 + Math.floor(random() * writesMax),
            random() < 0.5,
          );
          while (!isDead() && !isOver) await new Promise((resolve) => setTimeout(resolve, 2));
        }
      })();
      try {
        await lifeOf(rig, isShort);
      } finally {
        isOver = true;
        await dying;
        await rig.close();
      }
      expect(worst()).toBe(2);
    },
  );
}

async function lifeOf(rig: Rig, isShort: boolean): Promise<void> {
  const patience = 30_000;
  const isDone = () =>
    rig.condition("DataCenter", "main", "Ready") === "True AllServe" &&
    rig.condition("DataCenter", "main", "Progressing") === "False Done";
  const has = (image: string) => () =>
    rig.pods().every(({ spec }) => JSON.stringify(spec).includes(image));
  rig.install();
  await rig.until("installed", () => isDone() && rig.readyPods === 21, patience);
  const claims = rig.names("PersistentVolumeClaim");
  rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2" }));
  await rig.until("a new image", () => has("tricampus:2")() && isDone(), patience);
  if (isShort) return;
  const services = [{ name: "access", replicas: 6 }];
  rig.write("DataCenter", "main", sampleDataCenter({ image: "tricampus:2", services }));
  await rig.until("a new size", () => rig.pods("access").length === 6 && isDone(), patience);
  const volumesDeleted = countDeleted(rig, "/api/v1 persistentvolumeclaims");
  const replace = { campus: "b", act: "once", reason: "its node is gone" };
  rig.write("KVGroup", "main-1", sampleGroup(1, { replace }));
  const phase = () =>
    rig.status<{ replaced?: { phase: string } }>("KVGroup", "main-1").replaced?.phase;
  await rig.until("a new disk", () => phase() === "Done" && isDone(), patience);
  expect(rig.names("PersistentVolumeClaim")).toEqual(claims);
  expect(volumesDeleted()).toBe(1);
  rig.write("KVGroup", "main-2", sampleGroup(2));
  await rig.until(
    "a second group",
    () => rig.store.slots.inbox!.length === 2 && isDone(),
    patience,
  );
  expect(rig.store.audit.filter((text) => text.startsWith("slots"))).toHaveLength(1);
}

function countDeleted(rig: Rig, resource: string): () => number {
  let deleted = 0;
  rig.double.objects.listen((changed, { type }) => {
    if (changed === resource && type === "DELETED") deleted += 1;
  });
  return () => deleted;
}

/** The smallest number of replicas of group 1 that were ready at once, after all three were. */
function watchQuorum(rig: Rig): () => number {
  let worst = Number.POSITIVE_INFINITY;
  let isWhole = false;
  rig.double.objects.listen((resource) => {
    if (resource !== PODS) return;
    const ready = rig.pods("kvsvr-1").filter(isReady).length;
    isWhole ||= ready === 3;
    if (isWhole) worst = Math.min(worst, ready);
  });
  return () => worst;
}

function generator(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}
