/** Damages the state engine of a replica that is down, in LMDB's own file. */
import { join } from "node:path";
import { type Database, open } from "lmdb";

type Tree = Database<Buffer, Buffer>;

export interface LmdbTrees {
  readonly registers: Tree;
  readonly rows: Tree;
  readonly changes: Tree;
  readonly names: Tree;
}

/** `dir`: of the replica. */
export async function inLmdb(dir: string, act: (trees: LmdbTrees) => void): Promise<void> {
  const root = open({ path: join(dir, "state", "state.mdb"), maxDbs: 5, encoding: "binary" });
  const tree = (name: string): Tree =>
    root.openDB({ name, encoding: "binary", keyEncoding: "binary" });
  const trees = {
    registers: tree("registers"),
    rows: tree("rows"),
    changes: tree("changes"),
    names: tree("names"),
  };
  root.transactionSync(() => act(trees));
  await root.close();
}

/** Flips a bit in every record whose name passes; tells how many there were. */
export function flipBits(tree: Tree, isMeant: (name: Buffer) => boolean): number {
  let flipped = 0;
  for (const name of namesOf(tree).filter(isMeant)) {
    const broken = Buffer.from(tree.get(name)!);
    broken[broken.length - 1]! ^= 1;
    tree.putSync(name, broken);
    flipped += 1;
  }
  return flipped;
}

export function namesOf(tree: Tree): Buffer[] {
  return [...tree.getKeys({})].map((name) => Buffer.from(name));
}
