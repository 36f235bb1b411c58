import { expect, test } from "vitest";
import { MediaKind } from "../../../protos/gen/tricampus/client/v1/media_codec.ts";
import { checkUpload, requireSameType } from "./upload.ts";

const limits = { fileBytesMax: 1_000, imageBytesMax: 100, videoBytesMax: 500 };
const { FILE, IMAGE, VIDEO } = MediaKind;
const file = { kind: FILE, mime: "text/plain", bytes: 10, chunks: [], name: "notes.txt" };
const image = { ...file, kind: IMAGE, mime: "image/png", name: "" };
const video = { ...file, kind: VIDEO, mime: "video/mp4", name: "" };

test.each([[file], [image], [video], [{ ...file, name: "ноты 🎼.pdf", bytes: 1_000 }]])(
  "upload: taken (%#)",
  (request) => {
    expect(() => checkUpload(request, limits)).not.toThrow();
  },
);

test.each([
  ["too large a file", { ...file, bytes: 1_001 }, "TOO_LARGE", /1000 bytes, this one has 1001/],
  ["too large an image", { ...image, bytes: 101 }, "TOO_LARGE", /100 bytes/],
  ["too large a video", { ...video, bytes: 501 }, "TOO_LARGE", /500 bytes/],
  ["nothing", { ...file, bytes: 0 }, "INVALID_ARGUMENT", /empty/],
  ["no kind", { ...file, kind: 0 }, "INVALID_ARGUMENT", /file, an image or a video/],
  ["an image that is code", { ...image, mime: "image/svg+xml" }, "INVALID_ARGUMENT", /one of/],
  ["a video of another kind", { ...video, mime: "video/x-msvideo" }, "INVALID_ARGUMENT", /one of/],
  ["no mime type", { ...file, mime: "text" }, "INVALID_ARGUMENT", /mime/],
  [
    "too long a type",
    { ...image, mime: `${"a".repeat(31)}/x` },
    "INVALID_ARGUMENT",
    /look like one/,
  ],
  ["headers in the mime type", { ...file, mime: "a/b\r\nx: y" }, "INVALID_ARGUMENT", /mime/],
  ["a path", { ...file, name: "../../etc/passwd" }, "INVALID_ARGUMENT", /slashes/],
  ["a path of Windows", { ...file, name: "..\\x" }, "INVALID_ARGUMENT", /slashes/],
  ["only dots", { ...file, name: ".." }, "INVALID_ARGUMENT", /slashes/],
  ["text that turns around", { ...file, name: "gpj.\u202Eexe" }, "INVALID_ARGUMENT", /control/],
  ["no name", { ...file, name: "" }, "INVALID_ARGUMENT", /255 characters/],
  ["too long a name", { ...file, name: "x".repeat(256) }, "INVALID_ARGUMENT", /255/],
  ["an image with a name", { ...image, name: "x.png" }, "INVALID_ARGUMENT", /only files/],
])("upload: refused: %s", (_, request, code, message) => {
  const check = () => checkUpload(request, limits);
  expect(check).toThrow(message);
  expect(check).toThrow(expect.objectContaining({ code }));
});

test("upload: what it says and what it is must be the same, but of files nobody asks", () => {
  expect(() => requireSameType(file, undefined)).not.toThrow();
  expect(() => requireSameType(image, "image/png")).not.toThrow();
  expect(() => requireSameType(video, "video/quicktime")).not.toThrow();
  expect(() => requireSameType(image, "image/jpeg")).toThrow(/no image\/png, it is image\/jpeg/);
  expect(() => requireSameType(image, undefined)).toThrow(/nothing that is known/);
  expect(() => requireSameType(video, "video/webm")).toThrow(/no video\/mp4/);
});
