/**
 * Compares the replicas with each other, key by key and slot by slot, while they serve.
 *
 * The lists are not read at one moment, and the third replica hears of each change a moment later: a
 * key that looks different is looked at again, up to a number of times, before anything is said of
 * it. It is settled when all are the same, or when all have reached what the newest knew at first:
 * then the key is being written. What is left is behind for good, known but not held, differs, or
 * cannot be read.
 *
 * When asked to, it also reads every value and row at each replica and computes what a digest stands for:
 * two that have the same digest may hold different things.
 */
import type { Key } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { ReplicasClient, Seen } from "../../services/kvsvr/replicas-client.ts";
import { RpcError } from "../../services/svrkit/errors.ts";
import { rest } from "../../services/svrkit/rest.ts";
import { inParallel } from "../ledger/in-parallel.ts";
import {
  type Answer,
  hasReached,
  type Standing,
  standingOf,
  standingOfContents,
} from "./plan/standing.ts";

const LOOKS = 12;
const PAUSE_MS = 500;
/** Keys that are looked at again together. */
const SUSPECTS_MAX = 400;
/** Keys whose contents are read together, and so many at a time. */
const CONTENTS_KEYS = 400;
const CONTENTS_AT_ONCE = 16;
/** Differences that are kept to be shown; the rest is counted. */
const SHOWN_MAX = 1_000;

export interface Difference {
  readonly key: Key;
  readonly standing: Standing;
  /** In the order of `compared`. */
  readonly answers: readonly Answer[];
}

export interface Verdict {
  readonly keys: number;
  /** Slots that hold keys, each keyspace's own. */
  readonly slots: number;
  readonly compared: readonly string[];
  readonly notCompared: readonly { readonly campus: string; readonly reason: string }[];
  /** Keys that looked different at first. */
  readonly lookedAgain: number;
  /** Keys whose contents were read, the same version of all replicas; of the others it did not stand still. */
  readonly contentsRead: number;
  readonly differences: number;
  readonly shown: readonly Difference[];
  /** Slots in which deleted keys were forgotten, each keyspace's own. */
  readonly forgetful: number;
}

interface Suspect {
  readonly key: Key;
  /** The newest version that anybody knew when the key was listed. */
  readonly newest: number;
}

interface ReadKey extends Omit<Difference, "standing"> {
  readonly standing: "drifted" | "same" | "apart" | "unknown";
}

interface Patience {
  readonly looks: number;
  readonly pauseMs: number;
  /** Is the key this group's? One that is moved meanwhile is not compared. */
  readonly isIncluded?: (key: Key) => boolean;
  /** Brings what `isIncluded` goes by up to date. */
  readonly refresh?: () => Promise<void>;
  /** Values and rows are read, too. */
  readonly contents?: boolean;
}

export const PATIENCE: Patience = { looks: LOOKS, pauseMs: PAUSE_MS };

export async function verifyReplicas(
  replicas: ReplicasClient,
  patience: Patience = PATIENCE,
): Promise<Verdict> {
  const all = replicas.campuses.map((campus, replica) => ({ campus, replica }));
  const asked = await Promise.all(
    all.map(async (one) => ({ ...one, reason: await replicas.refusal(one.replica) })),
  );
  const here = asked.filter(({ reason }) => reason === undefined);
  const verification = new Verification(
    replicas,
    here.map(({ replica }) => replica),
    patience,
  );
  if (here.length > 1) await verification.run();
  return {
    ...verification.counts,
    compared: here.map(({ campus }) => campus),
    notCompared: asked.flatMap(({ campus, reason }) =>
      reason === undefined ? [] : [{ campus, reason }],
    ),
  };
}

class Verification {
  readonly #replicas: ReplicasClient;
  readonly #compared: readonly number[];
  readonly #patience: Patience;
  readonly #isIncluded: (key: Key) => boolean;
  readonly #shown: Difference[] = [];
  /** One may be met by its version, and again by its contents. */
  readonly #reported = new Set<string>();
  #keys = 0;
  #slots = 0;
  #lookedAgain = 0;
  #contentsRead = 0;
  #differences = 0;
  #forgetful = 0;

  constructor(replicas: ReplicasClient, compared: readonly number[], patience: Patience) {
    this.#isIncluded = patience.isIncluded ?? (() => true);
    this.#replicas = replicas;
    this.#compared = compared;
    this.#patience = patience;
  }

  get counts() {
    return {
      keys: this.#keys,
      slots: this.#slots,
      lookedAgain: this.#lookedAgain,
      contentsRead: this.#contentsRead,
      differences: this.#differences,
      shown: this.#shown,
      forgetful: this.#forgetful,
    };
  }

  async run(): Promise<void> {
    const floors = await this.#replicas.floors(this.#compared[0]!);
    this.#forgetful = floors.reduce((sum, { first, last }) => sum + last - first + 1, 0);
    let slot = -1;
    let suspects: Suspect[] = [];
    let unread: Key[] = [];
    for await (const { key, slotGroup, at } of this.#replicas.compare(this.#compared)) {
      if (!this.#isIncluded(key)) continue;
      const newest = Math.max(...at.map(({ version }) => version));
      if (newest > 0) {
        this.#keys += 1;
        if (slotGroup !== slot) this.#slots += 1;
        slot = slotGroup;
        if (this.#patience.contents === true) unread.push(key);
      }
      if (unread.length >= CONTENTS_KEYS) {
        await this.#readContents(unread);
        unread = [];
      }
      if (standingOf(at.map(asAnswer)) !== "same") suspects.push({ key, newest });
      if (suspects.length < SUSPECTS_MAX) continue;
      await this.#lookAgain(suspects);
      suspects = [];
    }
    await this.#lookAgain(suspects);
    await this.#readContents(unread);
  }

  /** Each until all replicas hold the same version of it, or it was read often enough. */
  async #readContents(keys: readonly Key[]): Promise<void> {
    const { looks, pauseMs } = this.#patience;
    let open = keys;
    for (let look = 1; open.length > 0 && look <= looks; look++) {
      if (look > 1) await rest(pauseMs);
      const apart: Key[] = [];
      await inParallel(open, CONTENTS_AT_ONCE, async (key) => {
        if (!(await this.#isDone(key, look === looks))) apart.push(key);
      });
      open = apart;
    }
  }

  /** Reads a key's contents; is there nothing left to be read of it? */
  async #isDone(key: Key, isLast: boolean): Promise<boolean> {
    const isBad = (one: ReadKey): one is ReadKey & Difference =>
      one.standing === "drifted" || (isLast && one.standing === "unknown");
    if (!this.#isIncluded(key)) return true;
    let read = await this.#readOne(key);
    if (isBad(read)) {
      // Its slot may have been moved: then each replica of this group empties it at its own pace.
      await this.#patience.refresh?.();
      if (!this.#isIncluded(key)) return true;
      read = await this.#readOne(key);
    }
    if (isBad(read)) this.#report(read);
    const isRead = read.standing === "same" || read.standing === "drifted";
    if (isRead) this.#contentsRead += 1;
    return isRead;
  }

  /** `apart`, besides a difference's standings: it is of several versions, or of one that is not held. */
  async #readOne(key: Key): Promise<ReadKey> {
    const answers = await Promise.all(
      this.#compared.map((replica) =>
        this.#replicas.contents(replica, key).then(
          (one) => ({ one, barred: "" }),
          (error: unknown) => ({ one: undefined, barred: RpcError.from(error).message }),
        ),
      ),
    );
    const standing = standingOfContents(answers.map(({ one }) => one));
    const isUnknown = standing === "apart" && answers.some(({ barred }) => barred !== "");
    return {
      key,
      standing: isUnknown ? "unknown" : standing,
      answers: answers.map(({ one, barred }) => {
        const { version = 0, digest = 0, held } = one ?? {};
        return { version, digest, lacks: one === undefined, barred, contents: held };
      }),
    };
  }

  async #lookAgain(suspects: readonly Suspect[]): Promise<void> {
    this.#lookedAgain += suspects.length;
    let open = suspects;
    for (let look = 1; open.length > 0; look++) {
      await rest(this.#patience.pauseMs);
      open = open.filter(({ key }) => this.#isIncluded(key));
      const isLast = look >= this.#patience.looks;
      const answers = await this.#ask(open.map(({ key }) => key));
      open = open.filter(({ key, newest }, i) => {
        const standing = standingOf(answers[i]!);
        const mayBeWritten = standing === "behind" || standing === "lacks";
        if (standing === "same" || (mayBeWritten && hasReached(answers[i]!, newest))) return false;
        // Two digests of one version stay what they are.
        if (!isLast && standing !== "differs") return true;
        this.#report({ key, standing, answers: answers[i]! });
        return false;
      });
    }
  }

  /** By key: every compared replica's answer. */
  async #ask(keys: readonly Key[]): Promise<Answer[][]> {
    const replies = await Promise.all(
      this.#compared.map((replica) => this.#replicas.query(replica, keys)),
    );
    return keys.map((_, i) =>
      replies.map((those) => {
        const { knownVersion: version, knownDigest: digest, holds, barred } = those[i]!;
        return { version, digest, lacks: !holds, barred };
      }),
    );
  }

  #report(difference: Difference): void {
    const { keyspace, key } = difference.key;
    const name = `${keyspace} ${Buffer.from(key).toString("latin1")}`;
    if (this.#reported.has(name)) return;
    this.#reported.add(name);
    this.#differences += 1;
    if (this.#shown.length < SHOWN_MAX) this.#shown.push(difference);
  }
}

/** Several groups' verdicts as one. */
export function verdictOfAll(verdicts: readonly Verdict[]): Verdict {
  const sum = (count: (verdict: Verdict) => number) =>
    verdicts.reduce((all, verdict) => all + count(verdict), 0);
  return {
    keys: sum(({ keys }) => keys),
    slots: sum(({ slots }) => slots),
    compared: verdicts[0]!.compared.filter((campus) =>
      verdicts.every(({ compared }) => compared.includes(campus)),
    ),
    notCompared: verdicts.flatMap(({ notCompared }) => notCompared),
    lookedAgain: sum(({ lookedAgain }) => lookedAgain),
    contentsRead: sum(({ contentsRead }) => contentsRead),
    differences: sum(({ differences }) => differences),
    shown: verdicts.flatMap(({ shown }) => shown),
    forgetful: sum(({ forgetful }) => forgetful),
  };
}

function asAnswer(seen: Seen): Answer {
  return { ...seen, barred: "" };
}
