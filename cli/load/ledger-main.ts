/** A load's ledger as a process of its own: reads its task as JSON from stdin, prints JSON. */
import { readFileSync } from "node:fs";
import { makeLoadLedger } from "./load-ledger.ts";

const { storesDir } = JSON.parse(readFileSync(0, "utf8")) as { storesDir: string };
console.log(JSON.stringify(makeLoadLedger(storesDir)));
