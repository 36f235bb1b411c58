/** The group's epoch as this replica holds it, durably (protocol/admission.ts). */
import { join } from "node:path";
import { z } from "zod";
import type { TextFiles } from "../svrkit/text-files.ts";
import type { Admission, HeldEpoch } from "./protocol/admission.ts";

const EPOCH_FILE = "group-epoch.json";

const admissionSchema = z.strictObject({
  epoch: z.number().int().min(1),
  replica: z.number().int().min(0),
  diskId: z.string(),
});

export class GroupEpoch implements HeldEpoch {
  readonly #path: string;
  readonly #files: TextFiles;
  readonly #first: number;
  #admission: Admission | undefined;

  /** `first`: the epoch in which the group began. */
  constructor(dir: string, files: TextFiles, first: number) {
    this.#path = join(dir, EPOCH_FILE);
    this.#files = files;
    this.#first = first;
    const text = files.read(this.#path);
    if (text !== undefined) this.#admission = admissionSchema.parse(JSON.parse(text));
  }

  get epoch(): number {
    return this.#admission?.epoch ?? this.#first;
  }

  get admission(): Admission | undefined {
    return this.#admission;
  }

  /** Durable when it returns, so that nothing is answered in between. */
  hold({ epoch, replica, diskId }: Admission): void {
    const admission = { epoch, replica, diskId };
    this.#files.replace(this.#path, JSON.stringify(admission));
    this.#admission = admission;
  }
}
