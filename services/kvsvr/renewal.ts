/**
 * Damaged keys (storage/damaged-keys.ts) made whole: each is copied from both others, like every key of a
 * lost disk (copy.ts), and put in its place at once. What this replica had voted together with one of them is
 * found there; without both of them the key stays as it is, and the others serve it.
 */
import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { Replica as ReplicaService } from "../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { RpcError } from "../svrkit/errors.ts";
import { monitor, monitorId } from "../svrkit/monitors/monitor.ts";
import { restUnless } from "../svrkit/rest.ts";
import { leftVotes } from "./left-votes.ts";
import { DAMAGED_KEYS_MAX, FETCH_BYTES_MAX } from "./limits.ts";
import { ProtocolViolation } from "./protocol/assert.ts";
import { EMPTY_REGISTER, type Input, step } from "./protocol/register.ts";
import type { Replica } from "./replica.ts";
import { registerKey } from "./storage/record.ts";

const RETRY_MS = 500;

const renewed = monitorId("kvsvr.keys_renewed");

export class Renewal {
  readonly #replica: Replica;
  #running: Promise<void> | undefined;
  readonly #stopping = new AbortController();

  constructor(replica: Replica) {
    this.#replica = replica;
  }

  get #stopped(): boolean {
    return this.#stopping.signal.aborted;
  }

  /** Renews what is damaged already, and what turns out to be. */
  start(): void {
    const { damaged } = this.#replica.state;
    damaged.onFound = (own) => {
      this.#replica.log.error(
        { key: own.toString("hex") },
        "a record is damaged: its key is renewed",
      );
      this.#soon();
    };
    damaged.onFull = () =>
      this.#replica.log.error(
        { most: DAMAGED_KEYS_MAX },
        "more keys are damaged than are renewed in one run: rebuild this replica from the others",
      );
    if (!damaged.isEmpty) this.#soon();
  }

  #soon(): void {
    if (this.#stopped) return;
    this.#running ??= this.#run().finally(() => {
      this.#running = undefined;
    });
  }

  async #run(): Promise<void> {
    const { state, log, fatal } = this.#replica;
    while (!state.damaged.isEmpty && !this.#stopped) {
      // Not in the turn that has found it: somebody is in the middle of reading it.
      await restUnless(this.#stopping.signal, RETRY_MS).catch(() => {});
      for (const key of state.damaged.keys) {
        if (this.#stopped) return;
        try {
          await this.#renew(key);
        } catch (error) {
          // The others hold two values of one version: to copy either would spread it (S1).
          if (error instanceof ProtocolViolation) return fatal(error);
          log.debug({ reason: RpcError.from(error).message }, "a damaged key is not renewed yet");
        }
      }
    }
  }

  async #renew(key: Key): Promise<void> {
    const { slots, state, epoch, barred, log } = this.#replica;
    if (barred !== undefined) throw new RpcError("UNAVAILABLE", barred);
    const own = registerKey(key);
    const { state: holding } = slots.holding(own[0]!, own.readUInt16BE(1));
    // It leaves with its slot.
    if (holding === "gone") return;
    // Nothing was voted here yet: the copy of its slot brings it again.
    const inputs = holding === "receiving" ? [] : await this.#copy(key);
    if (this.#replica.epoch !== epoch || this.#stopped) return;
    await state.renew(key, inputs);
    monitor.add(renewed, 1);
    log.warn({ key: own.toString("hex") }, "a damaged key was renewed from both other replicas");
  }

  /** What both others hold of it, and what their votes have left behind: from nothing on. */
  async #copy(key: Key): Promise<Input[]> {
    const inputs: Input[] = [];
    let register = EMPTY_REGISTER;
    const take = (input: Input) => {
      const before = register;
      register = step(register, input).register;
      if (register !== before) inputs.push(input);
      return register !== before;
    };
    const { peers, epoch } = this.#replica;
    for (const peer of peers.others) {
      const ask = (aboveVersion: number) =>
        peers.call(peer, ReplicaService.fetchVotes, { key, aboveVersion, epoch, move: 0 });
      for await (const reply of leftVotes(ask)) take({ kind: "copied", reply });
      for (let more = true; more && !this.#stopped; ) {
        const above = { key, aboveVersion: register.heldVersion, bytesMax: FETCH_BYTES_MAX };
        const reply = await peers.call(peer, ReplicaService.fetch, { ...above, epoch });
        if (reply.barred !== "") throw new RpcError("UNAVAILABLE", reply.barred);
        more = !reply.unavailable && take({ kind: "fetched", reply });
      }
    }
    return inputs;
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }
}
