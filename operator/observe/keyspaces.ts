/** Keyspaces by the names that people use. */
import { Keyspace } from "../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import type { KEYSPACES } from "../api/kv-group.ts";

const NUMBERS: Record<(typeof KEYSPACES)[number], number> = {
  account: Keyspace.ACCOUNT,
  contact: Keyspace.CONTACT,
  inbox: Keyspace.INBOX,
  message: Keyspace.MESSAGE,
  group: Keyspace.GROUP,
  moments: Keyspace.MOMENTS,
  media: Keyspace.MEDIA,
};

export function keyspaceNumber(name: (typeof KEYSPACES)[number]): number {
  return NUMBERS[name];
}
