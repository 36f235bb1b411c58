/** The package's door in browsers. */
import "./buffer-global.ts";

export * from "./everywhere.ts";
