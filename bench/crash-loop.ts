/**
 * What messages notice of media and moments in a crash loop: the demo's conversations, in the layout "modules",
 * alternately with both killed (-9) each second in every campus, and without.
 *
 *   node bench/crash-loop.ts [--rounds 3] [--seconds 12]
 */
import { parseArgs } from "node:util";
import { crashLoop } from "../cli/testing/crash-loop.ts";
import { removePlatform, replayDemo, startPlatform } from "../cli/testing/own-platform.ts";
import { percentile } from "./percentile.ts";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    seconds: { type: "string", default: "12" },
  },
});
const [rounds, overSeconds] = [Number(values.rounds), Number(values.seconds)];
const platform = await startPlatform("modules");

interface Round {
  readonly crashing: boolean;
  readonly killed: number;
  readonly p50: number;
  readonly p99: number;
  readonly wrong: number;
}

async function round(crashing: boolean): Promise<Round> {
  const ended = new AbortController();
  const loop = crashing ? crashLoop(platform, ["media", "moments"], ended.signal) : undefined;
  const { result } = await replayDemo(platform, { limit: 120, overSeconds });
  ended.abort();
  const killed = (await loop) ?? 0;
  await platform.waitReady(60_000);
  const { p50, p99 } = result.sendAckMs;
  const { missing, duplicates, outOfOrder, altered, failedSends } = result;
  return {
    crashing,
    killed,
    p50,
    p99,
    wrong: missing + duplicates + outOfOrder + altered + failedSends,
  };
}

const all: Round[] = [];
await round(false); // the first one compiles
for (let i = 0; i < rounds; i++) all.push(await round(false), await round(true));
await removePlatform(platform);

const median = (crashing: boolean, of: "p50" | "p99") => {
  const found = all.filter((one) => one.crashing === crashing).map((one) => one[of]);
  return percentile(
    found.sort((a, b) => a - b),
    0.5,
  );
};
const ratio = Math.round((100 * median(true, "p99")) / median(false, "p99")) / 100;
console.table(all);
console.log(`p99 with the crash loop is ${ratio} times that without (medians of ${rounds})`);
console.log(JSON.stringify({ rounds: all, ratio }));
