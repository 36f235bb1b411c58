/** The group's epoch as this replica holds it, durably (protocol/admission.ts, protocol/keeper.ts). */
import { join } from "node:path";
import { z } from "zod";
import type { TextFiles } from "../svrkit/text-files.ts";
import type { Admission, HeldEpoch } from "./protocol/admission.ts";
import { afterAdmission, afterCopy, forcedEpoch, type Keeper } from "./protocol/keeper.ts";

const EPOCH_FILE = "group-epoch.json";

const replica = z.number().int().min(0);

const heldSchema = z.strictObject({
  epoch: z.number().int().min(1),
  replica,
  diskId: z.string(),
  /** This disk is no member of the group any more. */
  excluded: z.boolean().default(false),
  /** Set while the group rests on this replica alone. */
  keeper: z
    .strictObject({
      force: z.string(),
      settled: z.boolean(),
      full: z.array(z.strictObject({ replica, diskId: z.string() })),
    })
    .optional(),
});

type HeldState = z.infer<typeof heldSchema>;

export class GroupEpoch implements HeldEpoch {
  readonly #path: string;
  readonly #files: TextFiles;
  readonly #first: number;
  #held: HeldState | undefined;

  /** `first`: the epoch in which the group began. */
  constructor(dir: string, files: TextFiles, first: number) {
    this.#path = join(dir, EPOCH_FILE);
    this.#files = files;
    this.#first = first;
    const text = files.read(this.#path);
    if (text !== undefined) this.#held = heldSchema.parse(JSON.parse(text));
  }

  get epoch(): number {
    return this.#held?.epoch ?? this.#first;
  }

  get admission(): Admission | undefined {
    return this.isExcluded ? undefined : this.#held;
  }

  get isExcluded(): boolean {
    return this.#held?.excluded === true;
  }

  get keeper(): Keeper | undefined {
    return this.#held?.keeper;
  }

  /** Durable when it returns, so that nothing is answered in between. */
  hold(admission: Admission): void {
    const { keeper } = this;
    this.#save(admission, keeper && afterAdmission(keeper, admission.replica));
  }

  /** This disk keeps the group from now on, in a new era; again under the same act: nothing more. */
  force(act: string, survivor: { replica: number; diskId: string }): void {
    if (this.keeper?.force === act) return;
    const epoch = forcedEpoch(this.epoch, survivor.replica);
    this.#save({ epoch, ...survivor }, { force: act, settled: false, full: [] });
  }

  settled(): void {
    this.#save(this.#held!, { ...this.keeper!, settled: true });
  }

  /** A new member has copied everything and votes from now on. */
  copied(member: number, diskId: string): void {
    const { keeper } = this;
    if (keeper !== undefined) this.#save(this.#held!, afterCopy(keeper, member, diskId));
  }

  /** It stays in its old epoch: what it still says counts for nothing in the new one. */
  exclude({ replica, diskId }: Admission): void {
    this.#save({ epoch: this.epoch, replica, diskId }, undefined, true);
  }

  #save(admission: Admission, keeper: Keeper | undefined, excluded = false): void {
    const { epoch, replica: member, diskId } = admission;
    const full = keeper?.full.map((one) => ({ ...one })) ?? [];
    const held = { epoch, replica: member, diskId, excluded };
    this.#held = keeper === undefined ? held : { ...held, keeper: { ...keeper, full } };
    this.#files.replace(this.#path, JSON.stringify(this.#held));
  }
}
