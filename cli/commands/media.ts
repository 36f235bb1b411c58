/** `tricampus media ...`: files, images and videos that messages name, on behalf of a user. */
import { writeFile } from "node:fs/promises";
import { basename } from "node:path";
import { type MediaInfo, MediaKind } from "../../protos/gen/tricampus/client/v1/media_codec.ts";
import type { TricampusClient } from "../../sdk/client.ts";
import { conversationOf } from "../../services/data/message/client.ts";
import { type CommandCall, type CommandDefinition, textOption } from "../command.ts";
import { onBehalf } from "../on-behalf.ts";
import { formatTable } from "../output/table.ts";
import { userIdOf } from "../recipient.ts";

const MEDIUM = ["<medium>", "the media id that a message names"] as const;
const WHERE_OPTIONS = [
  ["--with <name>", "the other side of the conversation that showed it"],
  ["--group <id>", "the group that showed it"],
] as const;

/** Empty: it is the user's own. */
async function whereOf(call: CommandCall, client: TricampusClient): Promise<string> {
  const other = textOption(call, "with");
  if (other === undefined) return textOption(call, "group") ?? "";
  return conversationOf(client.userId!, await userIdOf(client, other));
}

function extensionOf({ kind, mime }: MediaInfo): string {
  return kind === MediaKind.FILE ? "" : `.${mime.slice(mime.indexOf("/") + 1)}`;
}

export const mediaCommands: readonly CommandDefinition[] = [
  onBehalf({
    name: "media get",
    summary: "download a file, image or video",
    arguments: [MEDIUM],
    options: [
      ...WHERE_OPTIONS,
      ["--thumbnail", "the small picture of an image"],
      ["--out <path>", "where to write it; default: its name, or its id, here"],
    ],
    act: async (client, [mediaId], call) => {
      const conversationId = await whereOf(call, client);
      const info = await client.media.info(mediaId!, conversationId);
      const thumbnail = call.options.thumbnail === true;
      const data = await client.media.download({ mediaId: mediaId!, conversationId, thumbnail });
      const usual = info.name || `${mediaId!.slice(0, 16)}${extensionOf(info)}`;
      // A name is somebody else's word: it is not let out of this folder, nor over what is there.
      const out = textOption(call, "out");
      const path = out ?? basename(usual);
      await writeFile(path, data, { flag: out === undefined ? "wx" : "w" });
      return { json: { ...info, path }, text: `${data.length} bytes are in ${path}.` };
    },
  }),
  onBehalf({
    name: "media show",
    summary: "what a file, image or video is",
    arguments: [MEDIUM],
    options: WHERE_OPTIONS,
    act: async (client, [mediaId], call) => {
      const info = await client.media.info(mediaId!, await whereOf(call, client));
      const { mime, bytes, width, height, durationMs, name } = info;
      const rows = [
        ["type", mime],
        ["bytes", String(bytes)],
      ];
      if (name !== "") rows.push(["name", name]);
      if (width > 0) rows.push(["pixels", `${width} x ${height}`]);
      if (durationMs > 0) rows.push(["seconds", String(durationMs / 1_000)]);
      return { json: info, text: formatTable(["medium", mediaId!], rows) };
    },
  }),
  onBehalf({
    name: "media delete",
    summary: "delete a file, image or video of the user's own, for everybody",
    arguments: [MEDIUM],
    act: async (client, [mediaId]) => {
      await client.media.delete(mediaId!);
      return { json: { mediaId }, text: "Deleted." };
    },
  }),
];
