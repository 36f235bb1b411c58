/** What a delivered message means to who gets it: known to data access and to devices alike. */
import {
  type InboxMessage,
  NoticeKind,
} from "../../../protos/gen/tricampus/client/v1/sync_codec.ts";

/** What a group's notice makes of the membership of a user who gets it; undefined: nothing. */
export function isMemberAfter({ notice }: InboxMessage, userId: string): boolean | undefined {
  switch (notice?.kind) {
    case NoticeKind.CREATED:
      return true;
    case NoticeKind.DISMISSED:
      return false;
    case NoticeKind.JOINED:
      return notice.userId === userId ? true : undefined;
    case NoticeKind.LEFT:
    case NoticeKind.KICKED:
      return notice.userId === userId ? false : undefined;
    default:
      return undefined;
  }
}
