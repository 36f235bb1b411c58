/** Who is to see a moment, and how it gets there. Pure. */
import {
  MomentVisibilityKind as Kind,
  type MomentVisibility,
} from "../../../../protos/gen/tricampus/client/v1/moments_codec.ts";

export interface Circle {
  /** Tags by contact, without whom the author has blocked. */
  readonly contacts: ReadonlyMap<string, readonly string[]>;
}

export interface Audience {
  /** All who may see it now, but the author; in the order of their ids. */
  readonly viewers: readonly string[];
  /** The moment keeps them: later contacts are not among them. */
  readonly isFixed: boolean;
}

export function audienceOf(
  { kind, tagIds }: Pick<MomentVisibility, "kind" | "tagIds">,
  { contacts }: Circle,
): Audience {
  const hasTag = (tags: readonly string[]) => tags.some((tag) => tagIds.includes(tag));
  const those = (choose: (tags: readonly string[]) => boolean) =>
    [...contacts].flatMap(([userId, tags]) => (choose(tags) ? [userId] : [])).sort();
  switch (kind) {
    case Kind.PRIVATE:
      return { viewers: [], isFixed: true };
    case Kind.TAGS:
      return { viewers: those(hasTag), isFixed: true };
    case Kind.ALL_BUT_TAGS:
      return { viewers: those((tags) => !hasTag(tags)), isFixed: true };
    default:
      return { viewers: those(() => true), isFixed: false };
  }
}

export interface Delivery {
  readonly to: readonly string[];
  readonly pulling: readonly string[];
}

/** Into the author's own timeline and so many others; who is beyond that pulls. */
export function deliveryOf(authorId: string, viewers: readonly string[], max: number): Delivery {
  return { to: [authorId, ...viewers.slice(0, max)], pulling: viewers.slice(max) };
}
