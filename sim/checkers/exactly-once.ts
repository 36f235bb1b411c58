/**
 * Exactly once (S4): an operation id took effect in one version, the acknowledged one, and it took
 * effect for no other key. Of a key every version is one operation's.
 */
import type { KeyWrite, Line, ReplicaState, TableWrite } from "../history.ts";
import type { Violation } from "./violation.ts";

type Write = KeyWrite | TableWrite;

function isWrite(line: Line): line is Write {
  return line.type === "op" && (line.op === "put" || line.op === "delete" || line.op === "change");
}

export function checkExactlyOnce(lines: readonly Line[]): Violation[] {
  const asked = new Map<string, Write>();
  for (const line of lines) if (isWrite(line) && line.id !== "") asked.set(line.id, line);
  const seen = new Map<string, number>();
  return lines
    .filter((line) => line.type === "replica")
    .flatMap((state) => checkOne(state, asked, seen));
}

/** `seen`: versions that replicas before this one remember of an id. */
function checkOne(
  state: ReplicaState,
  asked: ReadonlyMap<string, Write>,
  seen: Map<string, number>,
): Violation[] {
  const violations: Violation[] = [];
  const { key, replica } = state;
  const report = (message: string) => violations.push({ checker: "exactly-once", key, message });
  const versions = new Map<number, string>();
  const own = new Set<string>();
  for (const [id, version] of state.ids) {
    const operation = asked.get(id);
    const where = `replica ${replica} has ${id} as version ${version}`;
    if (own.has(id)) report(`${where}, and as another one too`);
    own.add(id);
    if (operation === undefined) report(`${where}: nobody asked for it`);
    else if (operation.key !== key) report(`${where}: it was asked for ${operation.key}`);
    else if (isOtherwise(operation, version))
      report(`${where}; the client heard ${JSON.stringify(operation)}`);
    if ((seen.get(id) ?? version) !== version)
      report(`${where}; another replica has it as ${seen.get(id)}`);
    seen.set(id, version);
    const twin = versions.get(version);
    if (state.model === "key" && twin !== undefined) report(`${where}, which ${twin} is too`);
    versions.set(version, id);
  }
  return violations;
}

/** The client heard of another version, or that it was not applied. */
function isOtherwise(operation: Write, version: number): boolean {
  if (operation.outcome !== "ok") return false;
  // A change that wrote nothing hears the version it was found true in, and is remembered in another's.
  if (operation.op === "change") return operation.applied === true && operation.version! > version;
  return operation.applied !== true || operation.version !== version;
}
