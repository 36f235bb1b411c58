import { EmbeddedRouter } from "./embedded.ts";
import { routerEngineSuite } from "./engine.suite.ts";

routerEngineSuite("embedded", (options) => new EmbeddedRouter(options));
