/** Wires the service "media". */
import { Media } from "../../../protos/gen/tricampus/client/v1/media_codec.ts";
import type { StartService } from "../../svrkit/context.ts";
import { mediaOptions } from "./config.ts";
import { Decoder } from "./decoder/decoder.ts";
import { MediaHandlers } from "./handlers.ts";

export const start: StartService = async (context) => {
  const options = mediaOptions.parse(context.options ?? {});
  const { server, tickets, lifecycle } = context;
  const { decodesWaitingMax: waitingMax, decodeMsMax } = options;
  const decoder = new Decoder({ waitingMax, decodeMsMax });
  const media = context.callee("media-data");
  const handlers = new MediaHandlers({ tickets, media, decoder, options, now: Date.now });
  server.add(Media.begin, (request, call) => handlers.begin(request, call));
  server.add(Media.put, (request, call) => handlers.put(request, call));
  server.add(Media.finish, (request, call) => handlers.finish(request, call));
  server.add(Media.get, (request, call) => handlers.get(request, call));
  server.add(Media.share, (request, call) => handlers.share(request, call));
  server.add(Media.url, (request, call) => handlers.url(request, call));
  server.add(Media.delete, (request, call) => handlers.delete(request, call));
  lifecycle.onStop("media: decoder", () => decoder.stop());
};
