import { expect, test } from "vitest";
import { endingWhenBroken, systemFiles } from "./files.ts";

function failing(code: string) {
  const error = Object.assign(new Error(`${code}: injected`), { code });
  const failures: Error[] = [];
  const replace = () => {
    throw error;
  };
  const replaceSoon = () => Promise.reject(error);
  const files = { ...systemFiles, texts: { ...systemFiles.texts, replace, replaceSoon } };
  return { error, failures, ...endingWhenBroken(files, (failure) => failures.push(failure)) };
}

test.each([
  ["EIO", 2],
  ["ENOSPC", 0],
])(
  "S3: a small file that a broken disk may have or not ends the process (%s)",
  async (code, times) => {
    const { error, failures, texts } = failing(code);
    expect(() => texts.replace("slots.json", "text")).toThrow(error);
    await expect(texts.replaceSoon("slots.json", "text")).rejects.toThrow(error);
    expect(failures).toEqual(Array.from({ length: times }, () => error));
  },
);
