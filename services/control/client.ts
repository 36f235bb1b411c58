/**
 * Reads and writes the control table, straight through the store's replicas: it works as long as two
 * of them do, whatever else is dead.
 */
import type { AuditEntry, Block } from "../../protos/gen/tricampus/control/v1/control_codec.ts";
import { Level } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { groupService, KvClient } from "../kvsvr/client.ts";
import type { Callee } from "../svrkit/client.ts";
import { RpcError } from "../svrkit/errors.ts";
import {
  type Decision,
  type Holder,
  inForce,
  nameOf,
  planBlock,
  planRenewal,
  planUnblock,
  type Target,
} from "./plan/blocks.ts";
import {
  AUDIT_ROWS_MAX,
  auditEntryOf,
  auditRequest,
  type ControlState,
  changeRequest,
  renewalRequest,
  stateOf,
  stateRequest,
} from "./rows.ts";

/** Who loses against another change reads again; people do not change the table more often. */
const ATTEMPTS_MAX = 8;
const READ_TIMEOUT_MS = 2_000;
/** When no quorum answers, what one replica holds is shown. */
const STALE_TIMEOUT_MS = 1_000;

const OTHERS_CHANGE = "others change the control table all the time; try again";

interface BlockFacts {
  readonly forMs: number;
  readonly why: string;
  readonly who: string;
  readonly forced: boolean;
}

export { CLOCKS_APART_MS } from "./plan/blocks.ts";

/** A block as people see it. */
export interface ShownBlock {
  /** "b", or "b/text". */
  readonly what: string;
  readonly remainingMs: number;
  readonly untilMs: number;
  readonly why: string;
  readonly who: string;
  readonly forced: boolean;
}

/** An entry of the audit log as people see it. */
export interface ShownChange {
  readonly number: number;
  readonly atMs: number;
  readonly who: string;
  /** "block", "unblock", or what was done to slots and KV groups. */
  readonly did: string;
  readonly what: string;
  /** When a block was to end; 0 for everything else. */
  readonly untilMs: number;
  readonly why: string;
  readonly forced: boolean;
}

/** That the store's group was forced from its last survivor. */
export interface ForceFacts {
  readonly campus: string;
  readonly group: number;
  readonly epoch: number;
  readonly atMs: number;
  readonly who: string;
  readonly why: string;
}

export class ControlTable {
  readonly #kv: KvClient;

  /** `kvsvr`: the group's three replicas in the order of their numbers. */
  constructor(kvsvr: Callee) {
    this.#kv = new KvClient(kvsvr);
  }

  /** What is blocked now. */
  async blocks(): Promise<ShownBlock[]> {
    const { blocks } = await this.#read().catch(() => this.#readOne());
    const nowMs = Date.now();
    return inForce(blocks, nowMs).map((block) => shown(block, nowMs));
  }

  /** Fails with FAILED_PRECONDITION when it may not be blocked now. */
  async block(target: Target, { forMs, why, who, forced }: BlockFacts): Promise<ShownBlock> {
    const { changed, nowMs } = await this.#change(who, false, ({ blocks }, nowMs) => {
      const untilMs = nowMs + forMs;
      const wanted = { ...target, untilMs, why, who, setAtMs: nowMs, forced };
      return planBlock(blocks, wanted, nowMs);
    });
    return shown(changed, nowMs);
  }

  /**
   * Puts the end of a block off, which its holder does again and again: no entry of the audit log. Fails with
   * FAILED_PRECONDITION when that block does not stand any more.
   */
  async renew(target: Target, { forMs, ...holder }: Holder & { forMs: number }): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const state = await this.#read();
      const nowMs = Date.now();
      const planned = planRenewal(state.blocks, { target, holder, untilMs: nowMs + forMs }, nowMs);
      if (planned.verdict === "refused") throw new RpcError("FAILED_PRECONDITION", planned.reason);
      const reply = await this.#kv.change(renewalRequest(state, planned.blocks));
      if (reply.applied) return;
    }
    throw new RpcError("ABORTED", OTHERS_CHANGE);
  }

  /** Fails with FAILED_PRECONDITION when it is not blocked, or with a holder when it is not theirs. */
  async unblock(target: Target, who: string, holder?: Holder): Promise<ShownBlock> {
    const { changed, nowMs } = await this.#change(who, true, ({ blocks }, nowMs) =>
      planUnblock(blocks, { ...target, holder }, nowMs),
    );
    return shown(changed, nowMs);
  }

  /** The newest changes, oldest first. */
  async audit(limit: number): Promise<ShownChange[]> {
    const request = auditRequest(Math.min(limit, AUDIT_ROWS_MAX), Level.STRONG);
    const { rows } = await this.#kv.scanRows(request, { timeoutMs: READ_TIMEOUT_MS });
    return rows.map((row) => shownChange(auditEntryOf(row))).reverse();
  }

  /** Into the audit log, once. */
  async noteForce({ campus, group, epoch, atMs, who, why }: ForceFacts): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const state = await this.#read();
      const request = auditRequest(AUDIT_ROWS_MAX, Level.STRONG);
      const { rows } = await this.#kv.scanRows(request, { timeoutMs: READ_TIMEOUT_MS });
      const isThis = (noted: AuditEntry["forced"]) =>
        noted?.epoch === epoch && noted.group === group;
      if (rows.some((row) => isThis(auditEntryOf(row).forced))) return;
      const forced = { campus, epoch, why, group };
      const noBlock = { block: undefined, unblocked: false, slots: undefined };
      const noted = { atMs, who, ...noBlock, forced };
      const reply = await this.#kv.change(changeRequest(state, state.blocks, noted));
      if (reply.applied) return;
    }
    throw new RpcError("ABORTED", OTHERS_CHANGE);
  }

  async #change(
    who: string,
    unblocked: boolean,
    plan: (state: ControlState, nowMs: number) => Decision,
  ): Promise<{ changed: Block; nowMs: number }> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const state = await this.#read();
      const nowMs = Date.now();
      const planned = plan(state, nowMs);
      if (planned.verdict === "refused") throw new RpcError("FAILED_PRECONDITION", planned.reason);
      const noted = {
        ...{ atMs: nowMs, who, block: planned.changed, unblocked },
        ...{ forced: undefined, slots: undefined },
      };
      const reply = await this.#kv.change(changeRequest(state, planned.blocks, noted));
      if (reply.applied) return { changed: planned.changed, nowMs };
    }
    throw new RpcError("ABORTED", OTHERS_CHANGE);
  }

  async #read(): Promise<ControlState> {
    const options = { timeoutMs: READ_TIMEOUT_MS };
    return stateOf(await this.#kv.getRows(stateRequest(Level.STRONG), options));
  }

  async #readOne(): Promise<ControlState> {
    const options = { timeoutMs: STALE_TIMEOUT_MS };
    return stateOf(await this.#kv.getRows(stateRequest(Level.ANY), options));
  }
}

function shown(block: Block, nowMs: number): ShownBlock {
  const { untilMs, why, who, forced } = block;
  return { what: nameOf(block), remainingMs: untilMs - nowMs, untilMs, why, who, forced };
}

function shownChange(entry: AuditEntry): ShownChange {
  const { number, atMs, who, block, unblocked, forced: act, slots } = entry;
  if (slots !== undefined) return { number, atMs, who, ...slots, untilMs: 0, forced: false };
  if (act !== undefined) {
    const { campus, group, why } = act;
    const what = `${campus}/${groupService(group)}`;
    return { number, atMs, who, did: "force", what, untilMs: 0, why, forced: true };
  }
  if (block === undefined) throw new RpcError("INTERNAL", `audit entry ${number} names nothing`);
  const { untilMs, why, forced } = block;
  const did = unblocked ? "unblock" : "block";
  return { number, atMs, who, did, what: nameOf(block), untilMs, why, forced };
}
