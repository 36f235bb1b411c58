/** Wires the service "media-data". */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { MediaData } from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import { Level } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { KvClient } from "../../kvsvr/client.ts";
import type { ServiceContext, StartService } from "../../svrkit/context.ts";
import { requireCaller } from "../authority.ts";
import { type MediaDataOptions, mediaDataOptions, s3Credentials } from "./config.ts";
import { Copies } from "./copies.ts";
import { MediaDataHandlers } from "./handlers.ts";
import { Owned } from "./owned.ts";
import type { PartEngine } from "./parts/engine.ts";
import { FileParts } from "./parts/files.ts";
import { S3Parts } from "./parts/s3.ts";
import { RemovalHandlers } from "./removal.ts";
import { FACTS_ROW, mediumKey, readFacts } from "./rows.ts";
import { UrlSealer } from "./seal.ts";
import { Sight } from "./sight.ts";
import { Sweep } from "./sweep.ts";

const LIST_MAX = 200;

export const start: StartService = async (context) => {
  const options = mediaDataOptions.parse(context.options ?? {});
  const { server, tickets, lifecycle, log } = context;
  const kv = KvClient.of(context);
  const engine = engineOf(options, context);
  const peers = context.callee("media-data");
  const own = context.campuses.indexOf(context.campus);
  const copies = new Copies({ engine, peers, own });
  const sight = new Sight({ kv, tickets, groups: context.callee("group-data") });
  const owned = new Owned(kv, options);
  const sealer = new UrlSealer(context.snapshots.derivedKey("media url"));
  const { urlMs } = options;
  const parts = { kv, tickets, sight, owned, copies, sealer, urlMs, now: Date.now };
  const handlers = new MediaDataHandlers(parts);
  const removal = new RemovalHandlers({ kv, sight, owned, copies, now: Date.now });
  server.add(MediaData.begin, (request, call) => handlers.begin(request, call));
  server.add(MediaData.facts, (request, call) => handlers.facts(request, call));
  server.add(MediaData.putPart, (request, call) => handlers.putPart(request, call));
  server.add(MediaData.missing, (request, call) => handlers.missing(request, call));
  server.add(MediaData.getPart, (request, call) => handlers.getPart(request, call));
  server.add(MediaData.finish, (request, call) => handlers.finish(request, call));
  server.add(MediaData.share, (request, call) => handlers.share(request, call));
  server.add(MediaData.keep, (request, call) => handlers.keep(request, call));
  server.add(MediaData.seal, (request, call) => handlers.seal(request, call));
  server.add(MediaData.fetch, (request, call) => handlers.fetch(request, call));
  server.add(MediaData.storeHere, (request, call) => handlers.storeHere(request, call));
  server.add(MediaData.loadHere, (request, call) => handlers.loadHere(request, call));
  server.add(MediaData.haveHere, (request, call) => handlers.haveHere(request, call));
  server.add(MediaData.remove, (request, call) => removal.remove(request, call));
  server.add(MediaData.retain, (request, call) => removal.retain(request, call));
  server.add(MediaData.erase, (request, call) => removal.erase(request, call));
  server.add(MediaData.dropHere, (request, call) => removal.dropHere(request, call));
  server.add(MediaData.listHere, async ({ after }, call) => {
    requireCaller(call, ["media-data"], "copies of parts");
    return { mediaIds: await engine.list(after, LIST_MAX) };
  });
  const factsOf = async (mediaId: string) => {
    const request = { key: mediumKey(mediaId), rows: [FACTS_ROW], marks: [], level: Level.STRONG };
    const { rows } = await kv.getRows(request);
    return rows[0] && readFacts(rows[0]);
  };
  const { sweepEveryMs: everyMs, sweepRestMs: restMs } = options;
  const sweep = new Sweep({ engine, copies, peers, own, factsOf, everyMs, restMs, log });
  lifecycle.onStop("media-data: sweep", () => sweep.stop());
};

function engineOf({ engine }: MediaDataOptions, { dataDir }: ServiceContext): PartEngine {
  if (engine.kind === "files") return new FileParts(join(dataDir, "parts"));
  const { endpoint, bucket, region, credentialsFile } = engine;
  const keys = s3Credentials.parse(JSON.parse(readFileSync(credentialsFile, "utf8")));
  return new S3Parts({ endpoint, bucket, region, ...keys });
}
