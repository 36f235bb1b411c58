import { expect, test } from "vitest";
import type { StatusReply } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { type PodConnection, podsBehind } from "./pods.ts";

const LOGIC = { name: "a/logic", campus: "a", services: ["text", "account"] };

/** A service of a cluster: each connection leads to one of its pods, by turns that are drawn. */
class Balanced {
  readonly pods: Set<string>;
  open = 0;
  #seed = 1;

  constructor(...pods: readonly string[]) {
    this.pods = new Set(pods);
  }

  connect = (): PodConnection => {
    this.open += 1;
    let pod: string | undefined;
    const pick = () => {
      this.#seed = (this.#seed * 48_271) % 2_147_483_647;
      return [...this.pods][this.#seed % this.pods.size];
    };
    return {
      ask: async () => {
        // One that broke is made anew, to whichever.
        if (pod === undefined || !this.pods.has(pod)) pod = pick();
        return pod === undefined ? undefined : ({ process: pod } as StatusReply);
      },
      stop: () => {
        this.open -= 1;
      },
    };
  };
}

test("pods: one keeps the process's name, and its successor is as good", async () => {
  const service = new Balanced("a/logic-1");
  const [pod, ...others] = await podsBehind(LOGIC, service.connect);
  expect(others).toEqual([]);
  expect(pod!.name).toBe("a/logic");
  service.pods.clear();
  service.pods.add("a/logic-2");
  expect(await pod!.ask(100)).toMatchObject({ process: "a/logic-2" });
});

test("pods: all of several are found, and each connection that is kept leads to its own", async () => {
  const names = ["a/logic-1", "a/logic-2", "a/logic-3"];
  const service = new Balanced(...names);
  const pods = await podsBehind(LOGIC, service.connect);
  expect(pods.map(({ name }) => name).toSorted()).toEqual(names);
  expect(service.open).toBe(3);
  for (const pod of pods) expect(await pod.ask(100)).toMatchObject({ process: pod.name });
  for (const pod of pods) pod.stop();
  expect(service.open).toBe(0);
});

test("pods: one that is gone is silent, whoever answers in its place", async () => {
  const service = new Balanced("a/logic-1", "a/logic-2");
  const pods = await podsBehind(LOGIC, service.connect);
  service.pods.delete("a/logic-2");
  service.pods.add("a/logic-3");
  const answers = await Promise.all(pods.map(async (pod) => [pod.name, await pod.ask(100)]));
  expect(Object.fromEntries(answers)).toEqual({
    "a/logic-1": { process: "a/logic-1" },
    "a/logic-2": undefined,
  });
  expect(service.open).toBe(2);
});

test("pods: nobody answers: the process is there, and silent", async () => {
  const service = new Balanced();
  const pods = await podsBehind(LOGIC, service.connect);
  expect(pods.map(({ name }) => name)).toEqual(["a/logic"]);
  expect(await pods[0]!.ask(100)).toBeUndefined();
});
