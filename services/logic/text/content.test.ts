import { expect, test } from "vitest";
import {
  type Content,
  makeCard,
  makeContent,
  makeCustom,
  makeFile,
  makeImage,
  makeLocation,
  makeReply,
  makeVideo,
  makeVoice,
} from "../../../protos/gen/tricampus/client/v1/content_codec.ts";
import { RpcError } from "../../svrkit/errors.ts";
import { checkContent } from "./content.ts";

const ID = "07au1-1";
const MEDIA = "a".repeat(52);

type Body = NonNullable<Content["body"]>;
const body = <C extends Body["case"]>(name: C, value: Extract<Body, { case: C }>["value"]) =>
  makeContent({ body: { case: name, value } as Body });

const voice = (facts: object) =>
  body("voice", makeVoice({ data: Buffer.alloc(9), mime: "audio/ogg", durationMs: 9, ...facts }));
const place = (facts: object) => body("location", makeLocation({ latitudeE7: 1, ...facts }));
const custom = (facts: object) =>
  body("custom", makeCustom({ type: "poll.v1", data: Buffer.alloc(9), ...facts }));
const file = (facts: object) =>
  body("file", makeFile({ mediaId: MEDIA, name: "a.txt", mime: "text/plain", ...facts }));
const card = (facts: object) =>
  body("card", makeCard({ of: { case: "userId", value: ID }, ...facts }));
const reply = (facts: object) =>
  makeContent({ reply: makeReply({ messageId: "m", sequence: 1, senderId: ID, ...facts }) });

function codeOf(content: Content, isGroup: boolean): string {
  try {
    checkContent(content, isGroup);
    return "taken";
  } catch (error) {
    return error instanceof RpcError ? error.code : String(error);
  }
}

const BAD = "INVALID_ARGUMENT";

test.each<[what: string, Content, code: string]>([
  ["a voice of 60 s", voice({ durationMs: 60_000 }), "taken"],
  ["a longer one", voice({ durationMs: 60_001 }), BAD],
  ["a voice without length", voice({ durationMs: 0 }), BAD],
  ["an empty voice", voice({ data: Buffer.alloc(0) }), BAD],
  ["128 KiB of voice", voice({ data: Buffer.alloc(131_072) }), "taken"],
  ["one byte more", voice({ data: Buffer.alloc(131_073) }), "TOO_LARGE"],
  ["a voice that is a video", voice({ mime: "video/mp4" }), BAD],
  ["a file", file({}), "taken"],
  ["a file without a name", file({ name: "" }), BAD],
  ["a file whose name is too long", file({ name: "x".repeat(256) }), BAD],
  ["a file that is a path", file({ mediaId: "../../etc/passwd" }), BAD],
  ["a file of a strange type", file({ mime: "text/plain; x" }), BAD],
  ["an image", body("image", makeImage({ mediaId: MEDIA, mime: "image/png" })), "taken"],
  [
    "an image with a bad preview",
    body("image", makeImage({ mediaId: MEDIA, mime: "image/png", thumbnailId: "/" })),
    BAD,
  ],
  [
    "a video",
    body("video", makeVideo({ mediaId: MEDIA, mime: "video/mp4", posterId: MEDIA })),
    "taken",
  ],
  ["a place", place({ latitudeE7: -900_000_000, longitudeE7: 1_800_000_000 }), "taken"],
  ["beyond a pole", place({ latitudeE7: 900_000_001 }), BAD],
  ["beyond the date line", place({ longitudeE7: -1_800_000_001 }), BAD],
  ["a place with too long an address", place({ address: "x".repeat(257) }), BAD],
  ["a card", card({ title: "Ann" }), "taken"],
  ["a group's card", card({ of: { case: "groupId", value: "07gx-1" } }), "taken"],
  ["nobody's card", card({ of: undefined }), BAD],
  ["a card of no id", card({ of: { case: "userId", value: "ann" } }), BAD],
  ["32 KiB of an application's own", custom({ data: Buffer.alloc(32_768) }), "taken"],
  ["one byte more of it", custom({ data: Buffer.alloc(32_769) }), "TOO_LARGE"],
  ["an application's own without type", custom({ type: "" }), BAD],
  ["a reply", reply({ quote: "x".repeat(200) }), "taken"],
  ["a reply with too long a quote", reply({ quote: "x".repeat(201) }), BAD],
  ["a reply to nothing", reply({ sequence: 0 }), BAD],
  ["a recall", body("recall", { messageId: "m", sequence: 1, senderId: ID }), BAD],
  [
    "an invitation",
    body("invite", { groupId: "g", title: "", inviteId: "i", expiresAtMs: 1 }),
    BAD,
  ],
])("content: %s", (_what, content, code) => {
  expect(codeOf(content, true)).toBe(code);
  expect(codeOf(content, false)).toBe(code);
});

test.each<[what: string, Partial<Content>, inGroup: string, betweenTwo: string]>([
  ["50 mentions", { mentions: Array(50).fill(ID) }, "taken", BAD],
  ["51 mentions", { mentions: Array(51).fill(ID) }, BAD, BAD],
  ["a mention of nobody", { mentions: ["ann"] }, BAD, BAD],
  ["a mention of all", { mentionsAll: true }, "taken", BAD],
])("mentions: %s", (_what, facts, inGroup, betweenTwo) => {
  expect(codeOf(makeContent(facts), true)).toBe(inGroup);
  expect(codeOf(makeContent(facts), false)).toBe(betweenTwo);
});
