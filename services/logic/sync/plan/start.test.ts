import { expect, test } from "vitest";
import { standingAt, startOf } from "./start.ts";

// A device at version "at", which began anew (or not) when "rebuilt" was forgotten.
test.each([
  {
    what: "nothing forgotten",
    at: 5,
    rebuilt: 0,
    forgotten: 0,
    from: 5,
    rebuild: false,
    rebuiltThen: 0,
  },
  {
    what: "beyond what is forgotten",
    at: 9,
    rebuilt: 0,
    forgotten: 9,
    from: 9,
    rebuild: false,
    rebuiltThen: 0,
  },
  {
    what: "older than what is forgotten",
    at: 5,
    rebuilt: 0,
    forgotten: 9,
    from: 0,
    rebuild: true,
    rebuiltThen: 9,
  },
  {
    what: "a new device",
    at: 0,
    rebuilt: 0,
    forgotten: 9,
    from: 0,
    rebuild: false,
    rebuiltThen: 9,
  },
  {
    what: "in the middle of a rebuild",
    at: 5,
    rebuilt: 9,
    forgotten: 9,
    from: 5,
    rebuild: false,
    rebuiltThen: 9,
  },
  {
    what: "overtaken in its rebuild",
    at: 5,
    rebuilt: 9,
    forgotten: 12,
    from: 0,
    rebuild: true,
    rebuiltThen: 12,
  },
])("sync start: $what", ({ at, rebuilt, forgotten, from, rebuild, rebuiltThen }) => {
  const start = startOf({ messagesVersion: at, rebuiltVersion: rebuilt }, forgotten);
  expect(start).toEqual({ messagesVersion: from, rebuiltVersion: rebuiltThen, rebuild });
});

test("sync start: a device that is beyond what was forgotten is like any other", () => {
  const rebuilding = { messagesVersion: 0, rebuiltVersion: 9 };
  expect(standingAt(8, rebuilding)).toEqual({ messagesVersion: 8, rebuiltVersion: 9 });
  expect(standingAt(9, rebuilding)).toEqual({ messagesVersion: 9, rebuiltVersion: 0 });
});
