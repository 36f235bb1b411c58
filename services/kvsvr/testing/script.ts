/**
 * Runs the protocol by hand, one message at a time: three replicas of one key or table, the real step
 * and decision functions, nothing else. A script is commands with their expected output
 * (services/kvsvr/protocol/testdata/*.txt).
 *
 *   prepare R           R begins phase one for its next version
 *   promise R P         R's Prepare reaches P (P may be R itself); shows the answer and the verdict
 *   accept R VALUE      R begins phase two: with what phase one found, else with VALUE; ballot 0 if
 *                       R may use it (S2)
 *   change R OP...      the same for a table: row=value, -row, trim:VERSION:PREFIX
 *   vote R P            R's Accept reaches P
 *   decide R            R says that its value is decided, after a majority
 *   notice R P          the notice reaches P       learn R P   the value itself reaches P
 *   fetch R P           R fetches P's state
 *   read R P [Q]        R judges a read with the answers of P (and Q)
 *   restart R           R starts again: same disk, higher incarnation
 *   lose R              R's disk is lost, and a new one takes its place
 *   copy R P            R, a new member, takes over what votes have left behind at P
 *   floor R VERSION     R forgets a tombstone, or what is absent there gets this floor (S5)
 *   delete R            like accept, of a deletion
 *   show                all three registers
 */
import type { Ballot, Owner } from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { absentAt, isAbsent, tombstoneOf } from "../protocol/absent.ts";
import { NO_BALLOT } from "../protocol/ballot.ts";
import { type Body, type Decision, sealDecision } from "../protocol/decision.ts";
import { type Answer, chooseWay, judge, valueToFinish } from "../protocol/proposer.ts";
import { judgeRead, newestPossible, viewOf } from "../protocol/read.ts";
import { EMPTY_REGISTER, type Input, type Register, step } from "../protocol/register.ts";
import { votesLeft } from "../protocol/votes-left.ts";
import { ScriptedTable, showChange } from "./scripted-table.ts";

const DELETED = { deleted: true, operations: undefined };

interface Attempt {
  readonly ballot: Ballot;
  readonly version: number;
  readonly baseDigest: number;
  answers: (Answer | undefined)[];
  decision: Decision | undefined;
}

export class ScriptedKey {
  readonly #registers: Register[] = [EMPTY_REGISTER, EMPTY_REGISTER, EMPTY_REGISTER];
  readonly #tables = [new ScriptedTable(), new ScriptedTable(), new ScriptedTable()];
  readonly #incarnations = [1, 1, 1];
  readonly #attempts: (Attempt | undefined)[] = [undefined, undefined, undefined];

  /** Carries out one command; returns what it shows. */
  run(line: string): string {
    const [command, ...words] = line.split(/\s+/);
    const [r, p, q] = words.map(Number) as [number, number, number | undefined];
    switch (command) {
      case "prepare":
        return this.#prepare(r);
      case "promise":
        return this.#promise(r, p);
      case "accept":
        return this.#accept(r, keyBody(words[1] ?? ""));
      case "change":
        return this.#accept(r, {
          case: "table",
          value: this.#tables[r]!.change(this.#registers[r]!, words.slice(1)),
        });
      case "vote":
        return this.#vote(r, p);
      case "decide":
        return this.#take(r, this.#notice(r));
      case "notice":
        return this.#take(p, this.#notice(r));
      case "learn":
        return this.#take(p, { kind: "learn", decision: this.#attempt(r).decision! });
      case "fetch":
        return this.#fetch(r, p);
      case "read":
        return this.#read(r, q === undefined ? [p] : [p, q]);
      case "restart":
        this.#incarnations[r]! += 1;
        this.#attempts[r] = undefined;
        return `replica ${r} has incarnation ${this.#incarnations[r]}`;
      case "lose":
        this.#incarnations[r]! += 1;
        this.#attempts[r] = undefined;
        this.#registers[r] = EMPTY_REGISTER;
        this.#tables[r] = new ScriptedTable();
        return this.#show(r);
      case "copy":
        return this.#take(r, { kind: "copied", reply: votesLeft(this.#registers[p]!, 0, 0) });
      case "floor":
        return this.#floor(r, p);
      case "delete":
        return this.#accept(r, { case: "key", value: { ...DELETED, value: Buffer.alloc(0) } });
      case "show":
        return [0, 1, 2].map((replica) => this.#show(replica)).join("\n");
      default:
        throw new Error(`unknown command "${command}"`);
    }
  }

  #floor(r: number, version: number): string {
    const register = this.#registers[r]!;
    const isGone = tombstoneOf(register) !== undefined || isAbsent(register);
    if (isGone) this.#registers[r] = absentAt(version);
    return this.#show(r);
  }

  #self(replica: number): Owner {
    return { replica, incarnation: this.#incarnations[replica]! };
  }

  #attempt(replica: number): Attempt {
    const attempt = this.#attempts[replica];
    if (attempt === undefined) throw new Error(`replica ${replica} proposes nothing`);
    return attempt;
  }

  #begin(r: number, ballot: Ballot): Attempt {
    const { version, digest } = this.#registers[r]!.known;
    const answers: (Answer | undefined)[] = [undefined, undefined, undefined];
    const attempt = {
      ballot,
      version: version + 1,
      baseDigest: digest,
      answers,
      decision: undefined,
    };
    this.#attempts[r] = attempt;
    return attempt;
  }

  #prepare(r: number): string {
    const seen = this.#attempts[r]?.ballot ?? NO_BALLOT;
    const way = chooseWay(this.#registers[r]!, this.#self(r), seen);
    if (way.way === "fetch") return "must fetch first";
    const ballot = way.way === "prepare" ? way.ballot : { round: 1, proposer: way.ballot.proposer };
    return `prepare version ${this.#begin(r, ballot).version} ballot ${show(ballot)}`;
  }

  #promise(r: number, p: number): string {
    const { version, ballot, baseDigest } = this.#attempt(r);
    return this.#answer(r, p, { kind: "prepare", version, ballot, baseDigest });
  }

  #accept(r: number, body: Body): string {
    const way = chooseWay(this.#registers[r]!, this.#self(r), NO_BALLOT);
    const { known } = this.#registers[r]!;
    const prepared =
      this.#attempts[r]?.version === known.version + 1 ? this.#attempts[r] : undefined;
    const attempt = prepared ?? (way.way === "fast" ? this.#begin(r, way.ballot) : undefined);
    if (attempt === undefined) return `not allowed: must ${way.way} first`;
    const found = valueToFinish(attempt.answers);
    const { version } = attempt;
    const own = sealDecision(version, this.#self(r), body);
    attempt.decision = found ?? own;
    attempt.answers = [undefined, undefined, undefined];
    return `accept version ${version} ballot ${show(attempt.ballot)} ${describe(attempt.decision)}`;
  }

  #vote(r: number, p: number): string {
    const { ballot, decision, baseDigest } = this.#attempt(r);
    return this.#answer(r, p, { kind: "accept", ballot, decision: decision!, baseDigest });
  }

  #answer(r: number, p: number, input: Input): string {
    const taken = this.#step(p, input);
    const attempt = this.#attempt(r);
    attempt.answers[p] = this.#asAnswer(p, taken.vote);
    const accepted = taken.vote?.accepted;
    const found =
      accepted === undefined
        ? ""
        : ` had ${describe(accepted.decision)} at ${show(accepted.ballot)}`;
    const text = taken.vote?.granted === true ? `granted${found}` : `refused: ${this.#show(p)}`;
    return `${text}\n=> ${judge(attempt.answers).verdict}`;
  }

  #asAnswer(p: number, vote: ReturnType<typeof step>["vote"]): Answer {
    if (vote?.granted === true) return { answer: "granted", accepted: vote.accepted };
    const { known, promised } = this.#registers[p]!;
    return {
      answer: "refused",
      version: known.version,
      digest: known.digest,
      owner: known.owner,
      promised,
    };
  }

  #notice(r: number): Input {
    const { decision } = this.#attempt(r);
    return { kind: "notice", version: decision!.version, digest: decision!.digest };
  }

  #take(p: number, input: Input): string {
    this.#step(p, input);
    return this.#show(p);
  }

  #step(p: number, input: Input): ReturnType<typeof step> {
    const taken = step(this.#registers[p]!, input);
    this.#registers[p] = taken.register;
    this.#tables[p]!.apply(taken.rows);
    return taken;
  }

  #fetch(r: number, p: number): string {
    const { known, held, heldVersion, heldDigest } = this.#registers[p]!;
    if (held.model === "none") return "nothing to fetch";
    const { heldVersion: above } = this.#registers[r]!;
    const body =
      held.model === "key"
        ? { case: "decision" as const, value: held.decision.bytes }
        : { case: "table" as const, value: this.#tables[p]!.diff(this.#registers[p]!, above) };
    const reply = {
      version: heldVersion,
      digest: heldDigest,
      owner: known.owner,
      body,
      unavailable: false,
      barred: "",
    };
    return this.#take(r, { kind: "fetched", reply });
  }

  #read(r: number, others: number[]): string {
    const views = others.map((other) => viewOf(this.#registers[other]!));
    const own = viewOf(this.#registers[r]!);
    const verdict = judgeRead(own, views);
    if (verdict.verdict === "local") return "local";
    return `${verdict.verdict} version ${verdict.version}, ${newestPossible(own, views)} will do`;
  }

  #show(replica: number): string {
    const { known, heldVersion, held, promised, accepted } = this.#registers[replica]!;
    const value =
      held.model === "key"
        ? `"${Buffer.from(held.decision.key.value).toString()}"`
        : held.model === "table"
          ? this.#tables[replica]!.show(this.#registers[replica]!)
          : "nothing";
    const parts = [`replica ${replica}: knows ${known.version}, holds ${heldVersion} ${value}`];
    if (promised.proposer !== 0) parts.push(`promised ${show(promised)}`);
    if (accepted !== undefined)
      parts.push(`accepted ${describe(accepted.decision)} at ${show(accepted.ballot)}`);
    return parts.join(", ");
  }
}

function keyBody(value: string): Body {
  const state = { deleted: false, value: Buffer.from(value), operations: undefined };
  return { case: "key", value: state };
}

/** round.replica/incarnation */
function show(ballot: Ballot): string {
  return `${ballot.round}.${ballot.proposer & 3}/${ballot.proposer >>> 2}`;
}

function describe(decision: Decision): string {
  const value =
    decision.model === "key" ? Buffer.from(decision.key.value).toString() : showChange(decision);
  return `"${value}" of ${decision.owner.replica}/${decision.owner.incarnation}`;
}
