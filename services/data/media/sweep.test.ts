import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import {
  type MediaFacts,
  makeMediaBody,
  makeMediaFacts,
} from "../../../protos/gen/tricampus/data/v1/media_codec.ts";
import type { Callee } from "../../svrkit/client.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { hashOf } from "./client.ts";
import { Copies } from "./copies.ts";
import type { PartEngine } from "./parts/engine.ts";
import { FileParts } from "./parts/files.ts";
import { Sweep } from "./sweep.ts";

const MEDIA_ID = "a".repeat(64);
const OTHER_ID = "b".repeat(64);
const PARTS = ["original", "image", "thumbnail"].map((text) => {
  const data = Buffer.from(text);
  return { data, hash: hashOf(data) };
}) as [Part, Part, Part];
const [original, image, thumbnail] = PARTS;

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
    const engine = await partsIn(FileParts);
    await sweepOf(engine, factsOf({ finished })).run();
    expect(await hereOf(engine, MEDIA_ID)).toEqual(kept);
  },
);

test("sweep: a medium that cannot be put right keeps it from no other", async () => {
  class DamagedParts extends FileParts {
    override async remove(mediaId: string, hash: Uint8Array): Promise<void> {
      if (mediaId === MEDIA_ID) throw new Error("EIO: i/o error");
      await super.remove(mediaId, hash);
    }
  }
  const engine = await partsIn(DamagedParts);
  await sweepOf(engine, factsOf({ finished: true })).run();
  expect(await hereOf(engine, MEDIA_ID)).toEqual([true, true, true]);
  expect(await hereOf(engine, OTHER_ID)).toEqual([false, true, true]);
});

test.each([
  { days: 1, removals: 2 },
  { days: 4, removals: 0 },
])("sweep: in an engine that all share, $days days later: $removals removals", async (age) => {
  let asked = 0;
  class SharedParts extends FileParts {
    override readonly isShared = true;
    override async remove(): Promise<void> {
      asked += 1;
    }
  }
  const createdAtMs = Date.now() - age.days * 86_400_000;
  await sweepOf(await partsIn(SharedParts), factsOf({ finished: true, createdAtMs })).run();
  expect(asked).toBe(age.removals);
});

/** Two media with all their parts. */
async function partsIn(Engine: typeof FileParts): Promise<FileParts> {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-sweep-"));
  onTestFinished(() => rmSync(dir, { recursive: true }));
  const engine = new Engine(dir);
  for (const mediaId of [MEDIA_ID, OTHER_ID])
    for (const { data, hash } of PARTS) await engine.put(mediaId, hash, data);
  return engine;
}

function hereOf(engine: PartEngine, mediaId: string): Promise<boolean[]> {
  return Promise.all(PARTS.map(({ hash }) => engine.has(mediaId, hash)));
}

function factsOf(facts: Partial<MediaFacts>): MediaFacts {
  const body = ({ data, hash }: Part) => makeMediaBody({ parts: [hash], bytes: data.length });
  const made = { body: body(image), thumbnail: body(thumbnail) };
  return makeMediaFacts({ parts: [original.hash], ...made, ...facts });
}

function sweepOf(engine: PartEngine, facts: MediaFacts): Sweep {
  const peers = { peers: [undefined] } as unknown as Callee;
  const sweep = new Sweep({
    ...{ engine, peers, own: 0, copies: new Copies({ engine, peers, own: 0 }) },
    ...{ everyMs: 60_000, restMs: 0, log: silentLogger(), factsOf: async () => facts },
  });
  onTestFinished(() => sweep.stop());
  return sweep;
}
