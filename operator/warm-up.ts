/**
 * Compiles what an operator in its pod loads, once, when the image is built. Its entry as well: one file whose types
 * are still to be stripped brings the whole tool for that into memory, 14 MB.
 */
import { flushCompileCache } from "node:module";
import "../services/platform/certificates.ts";
import { checkOperatorConfig } from "./config.ts";

// Without the name of its image the entry ends before it does anything.
delete process.env.TRICAMPUS_IMAGE;
try {
  await import("./main.ts");
} catch (error) {
  if (!isRefusedConfig(error)) throw error;
}
flushCompileCache();

/** The entry was loaded, and refused its configuration as it should. */
function isRefusedConfig(error: unknown): boolean {
  try {
    checkOperatorConfig(process.env);
    return false;
  } catch (refusal) {
    return (error as Error).message === (refusal as Error).message;
  }
}
