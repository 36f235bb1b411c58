import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { readTrouble } from "../../svrkit/monitors/trouble.ts";
import { AddressBook } from "./address-book.ts";

const dir = mkdtempSync(join(tmpdir(), "tricampus-addresses-"));
const path = join(dir, "addresses.json");
afterAll(() => rmSync(dir, { recursive: true }));

const write = (host: string) =>
  writeFileSync(
    path,
    JSON.stringify({
      services: { text: "logic", sync: "logic" },
      doors: { logic: { a: { host, port: 7101 } } },
    }),
  );

test("address book: addresses follow the file, and outlive one that cannot be read", async () => {
  write("10.0.0.1");
  const book = new AddressBook(path, ["a", "b", "c"]);
  book.follow();
  const [inA, inB] = book.of("text");
  expect([inA!.host, inA!.port, inA!.label]).toEqual(["10.0.0.1", 7101, "campus a: logic"]);
  expect(book.of("sync")[0]!.label).toBe(inA!.label);
  expect(() => inB!.host).toThrow("no address of text in campus b is known yet");
  expect(() => book.of("kvsvr-2")[0]!.port).toThrow("no address of kvsvr-2 in campus a");
  // In the turn in which it began to follow: a first look of its own would take this for what was read.
  write("10.0.0.20");
  await expect.poll(() => inA!.host).toBe("10.0.0.20");
  writeFileSync(path, "{");
  await expect.poll(readTrouble).toMatch(/addresses: what was in force stays in force: /);
  expect(inA!.host).toBe("10.0.0.20");
  write("10.0.0.3");
  await expect.poll(readTrouble).toBe("");
  expect(inA!.host).toBe("10.0.0.3");
  book.stop();
});
