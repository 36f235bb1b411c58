/** From requests that an operator made to the rules of a Role that allows just them. */
import type { ApiRequest } from "../kube/api-client.ts";

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
}

const VERBS = ["get", "list", "watch", "create", "patch", "delete"] as const;
type Verb = (typeof VERBS)[number];

type Asked = Pick<ApiRequest, "method" | "path" | "contentType">;

/** "/apis/apps/v1/namespaces/x/deployments/name/status", "/api/v1/nodes" */
const OBJECT_PATH = new RegExp(
  "^/(?:api|apis/(?<group>[^/]+))/[^/]+(?:/namespaces/[^/]+)?" +
    "/(?<plural>[^/]+)(?:/(?<name>[^/]+)(?:/(?<sub>[^/]+))?)?$",
);

/** What one request needs: its API group, resource ("campuses/status") and verbs. */
function neededBy({ method, path, contentType = "" }: Asked) {
  const [plain = "", query = ""] = path.split("?");
  const found = OBJECT_PATH.exec(plain)?.groups;
  if (found === undefined) throw new Error(`${path} is no path of an object`);
  const { group = "", plural, name, sub } = found;
  return {
    group,
    resource: sub === undefined ? plural! : `${plural}/${sub}`,
    isClusterWide: !plain.includes("/namespaces/"),
    verbs: verbsOf(method, {
      isOne: name !== undefined,
      // Applying makes what is not there.
      mayMake: contentType.includes("apply") && sub === undefined,
      query,
    }),
  };
}

function verbsOf(
  method: ApiRequest["method"],
  { isOne, mayMake, query }: { isOne: boolean; mayMake: boolean; query: string },
): Verb[] {
  switch (method) {
    case "GET":
      if (isOne) return ["get"];
      return [query.includes("watch=1") ? "watch" : "list"];
    case "POST":
      return ["create"];
    case "PATCH":
      return mayMake ? ["patch", "create"] : ["patch"];
    case "DELETE":
      return ["delete"];
  }
}

/** Sorted, those of one group with the same verbs together. */
export function rulesFor(requests: Iterable<Asked>) {
  const verbs = new Map<string, Set<Verb>>();
  const clusterWide = new Set<string>();
  for (const request of requests) {
    const needed = neededBy(request);
    const key = `${needed.group} ${needed.resource}`;
    if (needed.isClusterWide) clusterWide.add(key);
    const known = verbs.get(key) ?? new Set();
    for (const verb of needed.verbs) known.add(verb);
    verbs.set(key, known);
  }
  const keys = [...verbs.keys()].toSorted();
  const rules = (wanted: (key: string) => boolean) => together(keys.filter(wanted), verbs);
  return {
    role: rules((key) => !clusterWide.has(key)),
    clusterRole: rules((key) => clusterWide.has(key)),
  };
}

function together(keys: readonly string[], verbs: ReadonlyMap<string, ReadonlySet<Verb>>): Rule[] {
  const rules = new Map<string, { apiGroups: string[]; resources: string[]; verbs: Verb[] }>();
  for (const key of keys) {
    const [group = "", resource = ""] = key.split(" ");
    const sorted = VERBS.filter((verb) => verbs.get(key)!.has(verb));
    const place = `${group} ${sorted.join()}`;
    const rule = rules.get(place) ?? { apiGroups: [group], resources: [], verbs: sorted };
    rule.resources.push(resource);
    rules.set(place, rule);
  }
  return [...rules.values()];
}
