/**
 * What is said of a write that was passed on to another replica (S7) and not answered there: it may be done,
 * or be done later, whatever this replica finds. Pure.
 */
import { RpcError } from "../svrkit/errors.ts";
import { uncertain } from "../svrkit/pending-call.ts";

/** After this answer, or none, from the replica that a write was passed on to. */
export function mayBeDone(failure: unknown): boolean {
  return !(failure instanceof RpcError && failure.code === "OVERLOADED");
}

/**
 * A refusal that says to a caller that nothing was done; one that may be done is to be asked for again,
 * under its own operation id.
 */
export function refusalOf(write: { readonly mayBeDone: boolean }, refusal: RpcError): RpcError {
  return write.mayBeDone ? uncertain(refusal) : refusal;
}
