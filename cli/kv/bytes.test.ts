import { expect, test } from "vitest";
import { bytesJson, parseBytes, showBytes } from "./bytes.ts";

const cases: [what: string, bytes: Buffer, shown: string][] = [
  ["text stays as it is", Buffer.from("name/änn 你"), "name/änn 你"],
  ["controls are quoted", Buffer.from("a\n\u001b[2Jb\u0000"), "a\\x0a\\x1b[2Jb\\x00"],
  ["a backslash is told from a quoted byte", Buffer.from("\\x0a"), "\\\\x0a"],
  [
    "what is no UTF-8 is quoted byte by byte",
    Buffer.from([0x61, 0xff, 0xc3, 0x28]),
    "a\\xff\\xc3(",
  ],
  ["invisible characters are quoted", Buffer.from("a\u202eb"), "a\\xe2\\x80\\xaeb"],
];
test.each(cases)("bytes: %s", (_, bytes, shown) => {
  expect(showBytes(bytes, "text")).toBe(shown);
});

test("bytes: hex in both directions", () => {
  expect(parseBytes("00fF", "hex", "the key")).toEqual(Buffer.from([0, 255]));
  expect(showBytes(Buffer.from([0, 255]), "hex")).toBe("00ff");
  for (const wrong of ["0", "zz", "00 ff"]) {
    expect(() => parseBytes(wrong, "hex", "the key")).toThrow(/^the key: .* is not hex/);
  }
});

test("bytes: JSON says which of the two it holds", () => {
  expect(bytesJson("value", Buffer.from("hi\n"), "text")).toEqual({ value: "hi\n" });
  expect(bytesJson("value", Buffer.from([0xff]), "text")).toEqual({ valueHex: "ff" });
  expect(bytesJson("value", Buffer.from("hi"), "hex")).toEqual({ valueHex: "6869" });
});
