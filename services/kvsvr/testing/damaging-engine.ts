/** A state engine in memory of which registers can be damaged, until they are written anew. */
import type { Key } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { type EngineEntry, type EngineKey, RecordDamaged } from "../storage/engine.ts";
import { MemoryEngine } from "../storage/memory.ts";
import { latin1, registerKey } from "../storage/record.ts";

export class DamagingEngine extends MemoryEngine {
  readonly #damaged = new Set<string>();

  damage(key: Key): void {
    this.#damaged.add(latin1(registerKey(key)));
  }

  override register(own: Buffer): Buffer | undefined {
    if (this.#damaged.has(latin1(own))) throw new RecordDamaged(own);
    return super.register(own);
  }

  override keys(after: Buffer | undefined, limit: number): EngineKey[] {
    return super.keys(after, limit).map((listed) => {
      const isDamaged = this.#damaged.has(latin1(listed.registerKey));
      return isDamaged ? { ...listed, register: undefined } : listed;
    });
  }

  override commit(entries: readonly EngineEntry[]): Promise<void> {
    for (const { registerKey: own, register } of entries)
      if (register !== undefined) this.#damaged.delete(latin1(own));
    return super.commit(entries);
  }
}
