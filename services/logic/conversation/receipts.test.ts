import { expect, test } from "vitest";
import { makeAccountFacts } from "../../../protos/gen/tricampus/data/v1/account_codec.ts";
import type { Call } from "../../svrkit/call.ts";
import type { Callee } from "../../svrkit/client.ts";
import { NO_BYTES } from "../../svrkit/codec.ts";
import { tellsReading } from "./receipts.ts";

const call: Call = {
  ...{ operationId: NO_BYTES, ticket: NO_BYTES, caller: "access", trace: NO_BYTES, priority: 0 },
  ...{ arrivedMs: 0, deadlineMs: 1_000 },
};

/** Accounts of which each says, at this moment, whether it hides its reading. */
function accountsOf(hidden: ReadonlySet<string>): Callee {
  const facts = async (_method: unknown, { userId }: { userId: string }) =>
    makeAccountFacts({ settings: { hidesReading: hidden.has(userId), hidesName: false } });
  return { call: facts } as unknown as Callee;
}

test("receipts: who hides its reading is not told of from then on, and nobody where there are none", async () => {
  const hidden = new Set<string>();
  const tells = tellsReading(accountsOf(hidden), true);
  expect(await tells("ann", call)).toBe(true);
  hidden.add("ann");
  expect(await tells("ann", call)).toBe(false);
  expect(await tells("bob", call)).toBe(true);
  expect(await tellsReading(accountsOf(hidden), false)("bob", call)).toBe(false);
});
