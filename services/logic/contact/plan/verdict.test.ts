import { expect, test } from "vitest";
import { makeContactPolicy } from "../../../../protos/gen/tricampus/client/v1/contact_codec.ts";
import {
  MayReplyRefusal,
  MayRequestWhat,
} from "../../../../protos/gen/tricampus/logic/v1/reach_codec.ts";
import { refusalOf } from "./verdict.ts";

const nameOf = (refusal: number) =>
  Object.entries(MayReplyRefusal).find(([, value]) => value === refusal)![0];
const OPEN = makeContactPolicy({});
const SHY = makeContactPolicy({ refusesStrangers: true });
const NO_GROUPS = makeContactPolicy({ refusesGroupsOfStrangers: true });
const YES = "UNSPECIFIED";

//                                            message to:                invitation of:
//                                            contact  stranger           contact  stranger
test.each([
  { what: "no policy", policy: undefined, expected: [YES, YES, YES, YES] },
  { what: "an open one", policy: OPEN, expected: [YES, YES, YES, YES] },
  { what: "no strangers", policy: SHY, expected: [YES, "STRANGER", YES, YES] },
  { what: "no groups of strangers", policy: NO_GROUPS, expected: [YES, YES, YES, "STRANGER"] },
  { what: "blocked", policy: OPEN, blocked: true, expected: Array(4).fill("BLOCKED") },
  { what: "gone", policy: OPEN, blocked: true, gone: true, expected: Array(4).fill("GONE") },
])("reach: $what", ({ policy, blocked = false, gone = false, expected }) => {
  const outcomes = [MayRequestWhat.MESSAGE, MayRequestWhat.INVITE].flatMap((what) =>
    [true, false].map((contact) => nameOf(refusalOf({ gone, blocked, contact, policy }, what))),
  );
  expect(outcomes).toEqual(expected);
});
