/** Compiles what processes in pods load, once, when the image is built. */
import { flushCompileCache } from "node:module";
import { loadService } from "../registry.ts";
import { SERVICES } from "../services.ts";
import "../process.ts";
import "./address-book.ts";
import "./compose.ts";
import "./permits.ts";

await Promise.all(SERVICES.map((service) => loadService(service)));
flushCompileCache();
