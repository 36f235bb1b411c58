/** What users are told when another one does not let them reach it. */
import { MayReplyRefusal } from "../../protos/gen/tricampus/logic/v1/reach_codec.ts";
import { RpcError } from "../svrkit/errors.ts";

/** Undefined: it may be done. `what`: "messages". */
export function errorOfRefusal(refusal: number, what: string): RpcError | undefined {
  switch (refusal) {
    case MayReplyRefusal.UNSPECIFIED:
      return undefined;
    case MayReplyRefusal.GONE:
      return new RpcError("NOT_FOUND", "the user's account was deleted");
    case MayReplyRefusal.STRANGER:
      return new RpcError("PERMISSION_DENIED", `the user takes ${what} of contacts only`);
    default:
      return new RpcError("PERMISSION_DENIED", `the user takes no ${what} of yours`);
  }
}
