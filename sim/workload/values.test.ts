import { expect, test } from "vitest";
import { largeValue, valueBytes, valueText } from "./values.ts";

test.each(["3.17", "", largeValue("3.17", 1), largeValue("3.17", 200_000)])(
  "values: %s is its own name when it comes back whole",
  (value) => {
    expect(valueText(valueBytes(value))).toBe(value);
  },
);

test("values: a large one that was cut, altered or mixed with another is not what was written", () => {
  const name = largeValue("3.17", 1_000);
  const bytes = valueBytes(name);
  const altered = Buffer.from(bytes);
  altered[700] = 0;
  const other = valueBytes(largeValue("3.18", 1_000));
  const mixed = Buffer.concat([bytes.subarray(0, 512), other.subarray(512)]);
  for (const wrong of [bytes.subarray(0, 900), altered, mixed])
    expect(valueText(wrong)).toBe(`${name}, damaged: ${wrong.length} bytes`);
});
