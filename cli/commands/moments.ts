/** `tricampus moments ...`: what users show their contacts, on behalf of a user who is logged in here. */
import type { Moment } from "../../protos/gen/tricampus/client/v1/moments_codec.ts";
import type { TricampusClient } from "../../sdk/client.ts";
import { type CommandCall, type CommandDefinition, numberOption, textOption } from "../command.ts";
import { EXIT, Failure } from "../failure.ts";
import { KnownUsers } from "../logins.ts";
import { withFile } from "../medium.ts";
import { onBehalf } from "../on-behalf.ts";
import { userIdOf } from "../recipient.ts";

const MOMENT = ["<moment>", "the moment's id"] as const;

async function imagesOf(call: CommandCall, client: TricampusClient): Promise<string[]> {
  const paths = textOption(call, "images")?.split(",") ?? [];
  const ids: string[] = [];
  for (const path of paths) {
    const medium = { kind: "image", path, poster: undefined } as const;
    ids.push(await withFile(medium, async (upload) => (await client.media.upload(upload)).mediaId));
  }
  return ids;
}

function audienceOf(call: CommandCall) {
  const tags = textOption(call, "tags")?.split(",");
  const butTags = textOption(call, "but-tags")?.split(",");
  const given = [tags, butTags, call.options.private].filter((one) => one !== undefined);
  if (given.length > 1)
    throw new Failure(EXIT.usage, "give one of --tags, --but-tags and --private");
  if (call.options.private === true) return "nobody";
  if (tags !== undefined) return { tags };
  return butTags === undefined ? "contacts" : { butTags };
}

function describe(moment: Moment, nameOf: (id: string) => string): string {
  const { momentId, authorId, text, imageIds, postedAtMs, likedBy, comments } = moment;
  const time = new Date(postedAtMs).toISOString().slice(0, 16).replace("T", " ");
  const images = imageIds.length === 0 ? "" : ` (${imageIds.length} images)`;
  const lines = [`[${time}] <${nameOf(authorId)}> ${text}${images}  ${momentId}`];
  if (likedBy.length > 0) lines.push(`  liked by ${likedBy.map(nameOf).join(", ")}`);
  for (const comment of comments) {
    lines.push(`  ${comment.commentId}. <${nameOf(comment.userId)}> ${comment.text}`);
  }
  // Other people's words do not reach the terminal as commands.
  return lines.map((line) => line.replaceAll(/\p{Cc}/gu, "\ufffd")).join("\n");
}

export const momentsCommands: readonly CommandDefinition[] = [
  onBehalf({
    name: "moments post",
    summary: "show contacts a text, images, or both",
    arguments: [["[text...]", "may be left out beside images"]],
    options: [
      ["--images <paths>", "up to 9, separated by commas"],
      ["--tags <ids>", "only contacts with one of these tags"],
      ["--but-tags <ids>", "all contacts but those with one of these tags"],
      ["--private", "nobody else"],
    ],
    act: async (client, words, call) => {
      const imageIds = await imagesOf(call, client);
      const to = audienceOf(call);
      const momentId = await client.moments.post({ text: words.join(" "), imageIds, to });
      return { json: { momentId }, text: `Posted as ${momentId}.` };
    },
  }),
  onBehalf({
    name: "moments list",
    summary: "what the user's contacts have shown, newest first",
    options: [
      ["--of <name>", "of one user only"],
      ["--limit <count>", "1-50; default 20"],
      ["--before <moment>", "the page behind this one: the cursor of the page before"],
    ],
    act: async (client, _, call) => {
      const place = {
        limit: numberOption(call, "limit") ?? 0,
        cursor: textOption(call, "before") ?? "",
      };
      const of = textOption(call, "of");
      const page =
        of === undefined
          ? await client.moments.timeline(place)
          : await client.moments.of(await userIdOf(client, of), place);
      const known = new KnownUsers(call.dataDir);
      const lines = page.moments.map((moment) => describe(moment, (id) => known.nameOf(id)));
      const more = page.cursor === "" ? [] : [`More: --before ${page.cursor}`];
      return { json: page, text: [...lines, ...more].join("\n") || "Nothing." };
    },
  }),
  onBehalf({
    name: "moments like",
    summary: "like a moment, or with --not not any more",
    arguments: [MOMENT],
    options: [["--not", "not any more"]],
    act: async (client, [momentId], call) => {
      await client.moments.like(momentId!, call.options.not !== true);
      return { json: { momentId }, text: "Done." };
    },
  }),
  onBehalf({
    name: "moments comment",
    summary: "comment on a moment",
    arguments: [MOMENT, ["<text...>", "1-500 characters"]],
    act: async (client, [momentId, ...words]) => {
      const commentId = await client.moments.comment(momentId!, words.join(" "));
      return { json: { momentId, commentId }, text: `Comment ${commentId}.` };
    },
  }),
  onBehalf({
    name: "moments delete",
    summary: "delete a moment of the user's own, or with --comment a comment",
    arguments: [MOMENT],
    options: [["--comment <id>", "the user's own, or any to a moment of the user's"]],
    act: async (client, [momentId], call) => {
      const commentId = textOption(call, "comment");
      if (commentId === undefined) await client.moments.delete(momentId!);
      else await client.moments.deleteComment(momentId!, commentId);
      return { json: { momentId }, text: "Deleted." };
    },
  }),
];
