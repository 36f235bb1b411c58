import { expect, test } from "vitest";
import { type Code, RpcError } from "./errors.ts";
import { orAsBefore } from "./version-before.ts";

const failing = (code: Code) => Promise.reject<string>(new RpcError(code, "no"));
const never = () => {
  throw new Error("nobody is to be asked as before");
};

test("version before: who knows the method answers, and nobody is asked as before", async () => {
  expect(await orAsBefore(Promise.resolve("new"), never)).toBe("new");
});

test("version before: who does not know it is asked as before", async () => {
  expect(await orAsBefore(failing("UNIMPLEMENTED"), () => "nothing")).toBe("nothing");
  expect(await orAsBefore(failing("UNIMPLEMENTED"), async () => "old")).toBe("old");
  const asked = orAsBefore(failing("UNIMPLEMENTED"), () => failing("UNAVAILABLE"));
  await expect(asked).rejects.toMatchObject({ code: "UNAVAILABLE" });
});

test.each<Code>(["UNAVAILABLE", "NOT_FOUND", "INTERNAL"])(
  "version before: any other failure stays one (%s)",
  async (code) => {
    await expect(orAsBefore(failing(code), never)).rejects.toMatchObject({ code });
  },
);

test("version before: what is thrown and no RpcError stays what it is", async () => {
  const thrown = new TypeError("a defect");
  await expect(orAsBefore(Promise.reject(thrown), never)).rejects.toBe(thrown);
});
