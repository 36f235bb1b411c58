/**
 * While a platform is upgraded one of the version before may be asked, and not know the method. Who calls a new
 * method says what to do then, until no such version is upgraded from any more; any other failure stays one.
 */
import { RpcError } from "./errors.ts";

export async function orAsBefore<T>(asked: Promise<T>, before: () => T | Promise<T>): Promise<T> {
  try {
    return await asked;
  } catch (error) {
    if (RpcError.from(error).code !== "UNIMPLEMENTED") throw error;
    return before();
  }
}
