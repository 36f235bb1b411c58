import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  makeMediaBody,
  makeMediaFacts,
} from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import type { Callee } from "../../svrkit/client.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { hashOf } from "./client.ts";
import { Copies } from "./copies.ts";
import { FileParts } from "./parts/files.ts";
import { Sweep } from "./sweep.ts";

const MEDIA_ID = "a".repeat(64);
const [original, made, thumbnail] = ["original", "made", "thumbnail"].map((text) => {
  const data = Buffer.from(text);
  return { data, hash: hashOf(data) };
}) as [Part, Part, Part];

interface Part {
  readonly data: Buffer;
  readonly hash: Buffer;
}

test.each([
  { finished: false, kept: [true, true, true] },
  { finished: true, kept: [false, true, true] },
])(
  "sweep: of an image that is finished ($finished) the original goes, wherever it was left",
  async ({ finished, kept }) => {
    const dir = mkdtempSync(join(tmpdir(), "tricampus-sweep-"));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    const engine = new FileParts(dir);
    for (const { data, hash } of [original, made, thumbnail])
      await engine.put(MEDIA_ID, hash, data);
    const peers = { peers: [undefined] } as unknown as Callee;
    const body = ({ data, hash }: Part) => makeMediaBody({ parts: [hash], bytes: data.length });
    const facts = makeMediaFacts({
      ...{ mediaId: MEDIA_ID, parts: [original.hash], finished },
      ...{ body: body(made), thumbnail: body(thumbnail) },
    });
    const sweep = new Sweep({
      ...{ engine, peers, own: 0, copies: new Copies({ engine, peers, own: 0 }) },
      ...{ everyMs: 60_000, restMs: 0, log: silentLogger(), factsOf: async () => facts },
    });
    onTestFinished(() => sweep.stop());
    await sweep.run();
    const parts = [original, made, thumbnail];
    expect(await Promise.all(parts.map(({ hash }) => engine.has(MEDIA_ID, hash)))).toEqual(kept);
  },
);
