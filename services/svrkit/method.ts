/**
 * A method of a service as svrkit sees it: a name, its hash (what travels), and four codecs.
 * The tables are generated (`protos/gen/**_codec.ts`), one object a service.
 */
import type { Decode, Encode } from "./codec.ts";
import { murmur3 } from "./murmur3.ts";

export interface Method<I, O> {
  /** "tricampus.kv.v1.Kv/Put" */
  readonly name: string;
  /** murmur3_32 of the name. */
  readonly hash: number;
  readonly encodeRequest: Encode<I>;
  readonly decodeRequest: Decode<I>;
  readonly encodeResponse: Encode<O>;
  readonly decodeResponse: Decode<O>;
}

export function defineMethod<I, O>(
  name: string,
  encodeRequest: Encode<I>,
  decodeRequest: Decode<I>,
  encodeResponse: Encode<O>,
  decodeResponse: Decode<O>,
): Method<I, O> {
  const hash = murmur3(Buffer.from(name));
  return { name, hash, encodeRequest, decodeRequest, encodeResponse, decodeResponse };
}
