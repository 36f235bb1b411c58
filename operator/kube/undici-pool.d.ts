/** undici's pool of connections without the rest of undici, which is 12 MB of memory that nobody here uses. */
declare module "undici/lib/dispatcher/pool.js" {
  export { Pool as default } from "undici";
}
