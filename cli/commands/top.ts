/** `tricampus top`: what all processes do, again and again. */
import { setTimeout as rest } from "node:timers/promises";
import type { CommandDefinition } from "../command.ts";
import { reach } from "../connect.ts";
import { EXIT, Failure } from "../failure.ts";
import { printJson } from "../output/json.ts";
import { formatTop, type Statuses, topOf } from "../output/top.ts";
import type { Reach } from "../reach.ts";

const INTERVAL_MS = 2_000;
const ONCE_MS = 1_000;
/** Up to the left upper corner, and everything below away. */
const CLEAR = "\x1b[H\x1b[J";

export const topCommand: CommandDefinition = {
  name: "top",
  summary: "show what processes and services do: load, rates, latencies, rejections; until Ctrl-C",
  options: [["--once", "one second, and end"]],
  run: async (call) => {
    const reached = await reach(call);
    const isOnce = call.options["once"] === true;
    try {
      let before = await look(reached);
      for (;;) {
        await rest(isOnce ? ONCE_MS : INTERVAL_MS);
        const after = await look(reached);
        const top = topOf(before.statuses, after.statuses, (after.atMs - before.atMs) / 1_000);
        if (call.json) printJson(top);
        else if (isOnce || !process.stdout.isTTY) console.log(formatTop(top));
        else process.stdout.write(`${CLEAR}${formatTop(top)}\n`);
        if (isOnce) return EXIT.ok;
        before = after;
      }
    } finally {
      reached.stop();
    }
  },
};

async function look(reached: Reach): Promise<{ atMs: number; statuses: Statuses }> {
  const names = new Set(reached.processes.map(({ name }) => name));
  const statuses = await reached.statuses(names);
  if (statuses.size === 0)
    throw new Failure(EXIT.unreachable, "no process answers; see `tricampus status`");
  return { atMs: performance.now(), statuses };
}
