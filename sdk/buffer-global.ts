/** What codecs need of Node, for browsers: imported before everything else. */
import { Buffer } from "buffer/";

(globalThis as { Buffer?: unknown }).Buffer ??= Buffer;
