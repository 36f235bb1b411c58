/** A drill's block before a control table that decides as the real one, and answers late, or not at all. */
import { expect, test } from "vitest";
import { RpcError } from "../../services/svrkit/errors.ts";
import { rest } from "../../services/svrkit/rest.ts";
import { endBlock, keepBlock, setBlock } from "./own-block.ts";

const BLOCK = { target: { campus: "b", service: "" }, who: "ann", why: "a drill", termMs: 60_000 };
const SHOWN = { what: "b", remainingMs: 1, untilMs: 1, why: "", who: "", forced: false };

/** What comes of its calls, one after the other; the last of each goes on. */
interface Story {
  readonly block: readonly ("set" | "late" | "lost" | "refused")[];
  readonly unblock: readonly ("answers" | "silent")[];
}

class Table {
  isBlocked = false;
  unblocks = 0;
  renewals = 0;
  renewMs = 0;
  readonly #story: Story;

  constructor(story: Story) {
    this.#story = story;
  }

  async block() {
    const [what] = this.#story.block;
    if (what === "refused") throw new RpcError("FAILED_PRECONDITION", "c is blocked");
    if (what === "late") setTimeout(() => this.#set(), 150);
    if (what === "late") throw new RpcError("DEADLINE_EXCEEDED", "no answer");
    this.#set();
    if (what === "lost") throw new RpcError("DEADLINE_EXCEEDED", "no answer");
    return SHOWN;
  }

  async unblock() {
    const { unblock } = this.#story;
    const what = unblock[Math.min(this.unblocks++, unblock.length - 1)];
    if (what === "silent") throw new RpcError("NO_QUORUM", "two replicas are away");
    if (!this.isBlocked) throw new RpcError("FAILED_PRECONDITION", "nothing is blocked");
    this.isBlocked = false;
    return SHOWN;
  }

  /** Read slowly, and then about to end. */
  async blocks() {
    await rest(100);
    return [{ ...SHOWN, who: BLOCK.who, why: BLOCK.why }];
  }

  async renew() {
    this.renewals++;
    await rest(this.renewMs);
    if (!this.isBlocked) throw new RpcError("FAILED_PRECONDITION", "it does not stand any more");
  }

  #set(): void {
    this.isBlocked = true;
  }
}

async function setAndEnd(table: Table, termMs = BLOCK.termMs) {
  const told: string[] = [];
  const block = { ...BLOCK, termMs };
  const set = await setBlock(table, block);
  const failure = await endBlock(table, block, { set, waits: (why) => told.push(why) });
  return { doubt: set.doubt, failure, told };
}

test("block: set and ended", async () => {
  const table = new Table({ block: ["set"], unblock: ["answers"] });
  expect(await setAndEnd(table)).toEqual({ doubt: undefined, failure: undefined, told: [] });
  expect(table).toMatchObject({ isBlocked: false, unblocks: 1 });
});

test("block: refused is not set, and nobody else's is ended", async () => {
  const table = new Table({ block: ["refused"], unblock: ["answers"] });
  await expect(setAndEnd(table)).rejects.toThrow("c is blocked");
  expect(table.unblocks).toBe(0);
});

test("block: one whose answer is lost is ended, also when its write takes effect later", async () => {
  for (const how of ["lost", "late"] as const) {
    const table = new Table({ block: [how], unblock: ["answers"] });
    expect(await setAndEnd(table)).toMatchObject({ doubt: "no answer", failure: undefined });
    expect(table.isBlocked, how).toBe(false);
  }
});

test("block: while nobody answers it is tried again, and told once", async () => {
  const silent = Array.from({ length: 4 }, () => "silent" as const);
  const table = new Table({ block: ["set"], unblock: [...silent, "answers"] });
  const startMs = performance.now();
  const outcome = await setAndEnd(table);
  expect(outcome).toMatchObject({ failure: undefined, told: ["two replicas are away"] });
  expect(table.isBlocked).toBe(false);
  expect(performance.now() - startMs).toBeGreaterThan(2_500);
});

test("block: one that cannot be ended is said to be so when it has ended by itself", async () => {
  const table = new Table({ block: ["set"], unblock: ["silent"] });
  expect((await setAndEnd(table, 400)).failure).toBe("two replicas are away");
});

test("block: one that has ended meanwhile is no failure", async () => {
  const table = new Table({ block: ["set"], unblock: ["answers"] });
  const set = await setBlock(table, BLOCK);
  table.isBlocked = false;
  const outcome = await endBlock(table, BLOCK, { set, waits: () => {} });
  expect(outcome).toBeUndefined();
});

test("block: one that is being ended is put off no more, also by who has begun to look", async () => {
  const table = new Table({ block: ["set"], unblock: ["answers"] });
  const set = await setBlock(table, BLOCK);
  const looking = keepBlock(table, BLOCK, set);
  await endBlock(table, BLOCK, { set, waits: () => {} });
  await looking;
  expect(table.renewals).toBe(0);
});

test("block: one that was just being put off is tried to be ended until its new end", async () => {
  const table = new Table({ block: ["set"], unblock: ["silent", "silent", "silent", "answers"] });
  table.renewMs = 100;
  const set = await setBlock(table, { ...BLOCK, termMs: 300 });
  const looking = keepBlock(table, BLOCK, set);
  await rest(150); // the renewal is under way
  set.endsAtMs = performance.now() + 100;
  expect(await endBlock(table, BLOCK, { set, waits: () => {} })).toBeUndefined();
  expect([await looking, table.isBlocked]).toEqual([true, false]);
});
