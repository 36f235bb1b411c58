/** What people write into objects must mean in YAML what it looks like: On, Off, Yes and No are no words there. */
import { expect, test } from "vitest";
import { parse } from "yaml";
import { customResourceDefinition, KINDS } from "./custom-resource.ts";

interface Schema {
  openAPIV3Schema: { properties: { spec: unknown } };
}

function wordsIn(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const { enum: words = [], ...rest } = value as { enum?: string[] };
  return [...(Array.isArray(words) ? words : []), ...Object.values(rest).flatMap(wordsIn)];
}

test("every word that people may choose is text in YAML 1.1, too", () => {
  const words = KINDS.flatMap((kind) => {
    const definition = JSON.stringify(customResourceDefinition(kind));
    const { spec } = JSON.parse(definition) as { spec: { versions: { schema: Schema }[] } };
    return wordsIn(spec.versions[0]!.schema.openAPIV3Schema.properties.spec);
  });
  expect(words).toContain("Plain");
  for (const word of words) expect(parse(word, { version: "1.1" }), word).toBe(word);
});
