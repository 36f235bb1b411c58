/**
 * What other services know of a 1:1 conversation: its id. It is made from the two user ids alone, so
 * that both sides, and every process, name the same table without asking anybody.
 */
const PREFIX = "c:";
const BETWEEN = "|";

export function conversationOf(one: string, other: string): string {
  return PREFIX + (one <= other ? one + BETWEEN + other : other + BETWEEN + one);
}

/** The two users of a conversation id; none when it is not one. */
export function usersOf(conversationId: string): readonly string[] {
  if (!conversationId.startsWith(PREFIX)) return [];
  const users = conversationId.slice(PREFIX.length).split(BETWEEN);
  const [one, other] = users;
  const isWhole =
    users.length === 2 && one !== "" && conversationOf(one!, other!) === conversationId;
  return isWhole ? users : [];
}
