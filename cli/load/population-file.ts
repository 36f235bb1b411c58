/** Who took part in a load, as a file beside the devices': the ledger's process knows it from there. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { PlannedUser } from "./plan.ts";

export interface PopulationFile {
  readonly run: string;
  /** The first so many users were online. */
  readonly online: number;
  readonly users: readonly (PlannedUser & { readonly userId: string })[];
  readonly groups: readonly { readonly groupId: string; readonly members: readonly number[] }[];
}

const FILE = "population.json";

export function writePopulation(storesDir: string, population: PopulationFile): void {
  writeFileSync(join(storesDir, FILE), JSON.stringify(population));
}

export function readPopulation(storesDir: string): PopulationFile {
  return JSON.parse(readFileSync(join(storesDir, FILE), "utf8")) as PopulationFile;
}
