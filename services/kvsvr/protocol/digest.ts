/**
 * Digests: 53 bits over everything a version decides. Reads, Prepare, notices and comparison speak
 * versions and digests only (S1). A table's delta holds the digest of the version before, so equal
 * digests mean equal histories.
 *
 * Two murmur3 hashes: digests tell apart what honest replicas decided; they do not keep forgers out.
 */
import {
  type Decision,
  encodeDecision,
} from "../../../protos/gen/tricampus/kv/v1/replica_codec.ts";
import { Writer } from "../../svrkit/codec.ts";
import { murmur3 } from "../../svrkit/murmur3.ts";

const scratch = new Writer(4096);

/** The decision with its digest filled in. */
export function withDigest(decision: Decision): Decision {
  scratch.pos = 0;
  encodeDecision(scratch, { ...decision, digest: 0 });
  const bytes = scratch.buffer.subarray(0, scratch.pos);
  const digest = murmur3(bytes, 1) * 0x200000 + (murmur3(bytes, 2) & 0x1fffff);
  return { ...decision, digest: digest === 0 ? 1 : digest };
}
