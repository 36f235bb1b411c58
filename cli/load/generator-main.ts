/** One generator of a load, a process of its own: takes orders from the process that began it. */
import { Generator } from "./generator.ts";
import type { Named, Order, Report } from "./orders.ts";

const TELL_EVERY_MS = 1_000;

let generator: Generator | undefined;

process.on("message", (order: Order) => void obey(order));
// Whoever gave the orders is gone: nobody needs the load any more.
process.on("disconnect", () => process.exit(1));
setInterval(tellSecond, TELL_EVERY_MS);

async function obey(order: Order): Promise<void> {
  try {
    const named = await carryOut(order);
    tellSecond();
    tell({ kind: "done", ...(named && { named }) });
  } catch (error) {
    tell({ kind: "failed", why: error instanceof Error ? error.message : String(error) });
  }
}

function carryOut(order: Order): Promise<Named | undefined> {
  if (order.kind === "open") {
    generator = new Generator(order.task);
    return generator.open();
  }
  if (generator === undefined) throw new Error(`"${order.kind}" came before "open"`);
  return generator.carryOut(order);
}

function tellSecond(): void {
  if (generator !== undefined) tell({ kind: "second", second: generator.tally.take() });
}

function tell(report: Report): void {
  process.send!(report);
}
