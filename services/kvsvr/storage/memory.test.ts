import { engineSuite } from "./engine.suite.ts";
import { MemoryEngine } from "./memory.ts";

engineSuite("memory", () => ({ engine: new MemoryEngine(), cleanUp: () => {} }));
