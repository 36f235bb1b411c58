/** What clients are told of writes that were tried. */
import { RpcError } from "../svrkit/errors.ts";
import { noRoom } from "../svrkit/room.ts";
import { refusalOf } from "./forwarded.ts";
import type { Write } from "./proposals.ts";
import type { Outcome } from "./protocol/compose.ts";
import { CHANGE_RESULT_BYTES_MAX } from "./protocol/table.ts";
import { TRIMS_MAX } from "./protocol/trim.ts";

const TOO_OFTEN = "it changes more often than its operations can be remembered";

export interface Pending<I, O> extends Write {
  readonly request: I;
  readonly operationId: Uint8Array;
  readonly priority: number;
  readonly resolve: (reply: O) => void;
}

export function answer<I, O>(write: Pending<I, O>, outcome: Outcome<O>): void {
  switch (outcome.outcome) {
    case "reply":
      write.resolve(outcome.reply);
      return;
    case "unknown":
      write.reject(
        new RpcError(
          "OUTCOME_UNKNOWN",
          "this operation is too old to say whether it ran: read, then decide",
        ),
      );
      return;
    case "wrongModel":
      write.reject(wrongModel(outcome.model));
      return;
    case "tooOften":
      write.reject(refusalOf(write, noRoom(TOO_OFTEN, write.priority)));
      return;
    case "resultTooLarge":
      write.reject(refusalOf(write, resultTooLarge()));
      return;
    case "tooManyTrims":
      write.reject(refusalOf(write, tooManyTrims()));
  }
}

function resultTooLarge(): RpcError {
  return new RpcError(
    "TOO_LARGE",
    `rows that are there already have more than ${CHANGE_RESULT_BYTES_MAX} bytes: insert fewer at once`,
  );
}

function tooManyTrims(): RpcError {
  return new RpcError(
    "FAILED_PRECONDITION",
    `a table remembers trims of ${TRIMS_MAX} kinds of rows: trim by a shorter prefix`,
  );
}

export function wrongModel(model: string): RpcError {
  const held = model === "table" ? "a table, not a value" : "a value, not a table";
  return new RpcError("FAILED_PRECONDITION", `this key holds ${held}`);
}
