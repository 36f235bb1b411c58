import { killedOperatorSuite } from "./killed.suite.ts";

killedOperatorSuite({ seeds: [1], writesMax: 50, isShort: true });
