import { expect, test } from "vitest";
import { OwnerTurns, TURNS_MAX } from "./owner-turns.ts";

test("turns: an owner's work goes on one piece at a time, in order, whatever fails; others' beside it", async () => {
  const turns = new OwnerTurns();
  const begun: string[] = [];
  const ends = new Map<string, PromiseWithResolvers<void>>();
  const work = (owner: string, name: string) =>
    turns.run(owner, () => {
      begun.push(name);
      const end = Promise.withResolvers<void>();
      ends.set(name, end);
      return end.promise;
    });
  const first = work("ann", "a1");
  const others = [work("ann", "a2"), work("bob", "b1"), work("ann", "a3")];
  expect(begun).toEqual(["a1", "b1"]);
  ends.get("a1")!.reject(new Error("lost"));
  await expect(first).rejects.toThrow("lost");
  await expect.poll(() => begun).toEqual(["a1", "b1", "a2"]);
  ends.get("a2")!.resolve();
  await expect.poll(() => begun).toEqual(["a1", "b1", "a2", "a3"]);
  for (const name of ["b1", "a3"]) ends.get(name)!.resolve();
  await Promise.all(others);
});

test("turns: so many of one owner wait, one more is refused, and afterwards there is room again", async () => {
  const turns = new OwnerTurns();
  const end = Promise.withResolvers<void>();
  const all = Array.from({ length: TURNS_MAX }, () => turns.run("ann", () => end.promise));
  const refused = { code: "RESOURCE_EXHAUSTED" };
  await expect(turns.run("ann", async () => {})).rejects.toMatchObject(refused);
  expect(await turns.run("bob", async () => "done")).toBe("done");
  end.resolve();
  await Promise.all(all);
  expect(await turns.run("ann", async () => "done")).toBe("done");
});
