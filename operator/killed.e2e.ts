import { killedOperatorSuite } from "./killed.suite.ts";

/** A fixed run of seeds; SEED=17 repeats one. */
const { SEED } = process.env;
const seeds = SEED === undefined ? Array.from({ length: 12 }, (_, i) => i + 2) : [Number(SEED)];
killedOperatorSuite({ seeds, writesMax: 30 });
