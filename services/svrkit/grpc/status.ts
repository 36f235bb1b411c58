/**
 * RpcError codes as gRPC's status codes. Numbers up to 16 are gRPC's own; what only we tell apart becomes
 * the status that makes a gRPC client act rightly, and travels by name as `tricampus-code`.
 */
import { status } from "@grpc/grpc-js";
import { type Code, codes } from "../errors.ts";

const GRPC_LARGEST = 16;

const OURS: Partial<Record<Code, status>> = {
  OUTCOME_UNKNOWN: status.ABORTED,
  STORAGE_REFUSED: status.UNAVAILABLE,
  FENCED: status.FAILED_PRECONDITION,
  TOO_LARGE: status.OUT_OF_RANGE,
  OVERLOADED: status.UNAVAILABLE,
  MOVED: status.ABORTED,
  NO_QUORUM: status.UNAVAILABLE,
};

export function grpcStatusOf(code: Code): status {
  const { number } = codes[code];
  return number <= GRPC_LARGEST ? number : (OURS[code] ?? status.UNKNOWN);
}
