/**
 * Who waits for which answer, by call id. Calls come and go by the ten thousand a second, which a Map does not
 * take well: it makes itself a new table every few dozen calls, each old one points to the next, and one
 * that the collector has taken for old keeps all that follow, and every call in them, from dying young. (With
 * 40,000 calls a second collections of young objects took the caller six milliseconds instead of a third of one.)
 *
 * Here an id is a place in one table, and ids go round it. A place that is still taken is passed over, so
 * no two unanswered calls have one id, and an answer that comes when its place is another's is told by its id.
 */
const FIRST_PLACES = 64;
/** Above so many an empty table is given back. */
const KEPT_PLACES = 4_096;

export class Unanswered<T> {
  #waiters: (T | undefined)[] = emptyTable(FIRST_PLACES);
  #ids = new Uint32Array(FIRST_PLACES);
  #size = 0;
  #nextId = 1;

  get size(): number {
    return this.#size;
  }

  /** The id under which the next one is added. */
  nextId(): number {
    // At most half are taken, so that a free place is never far.
    if (2 * (this.#size + 1) > this.#ids.length) this.#resize(2 * this.#ids.length);
    const mask = this.#ids.length - 1;
    while (this.#nextId === 0 || this.#waiters[this.#nextId & mask] !== undefined)
      this.#nextId = (this.#nextId + 1) >>> 0;
    return this.#nextId;
  }

  /** `id`: what `nextId` has just said. */
  add(id: number, waiter: T): void {
    const place = id & (this.#ids.length - 1);
    this.#waiters[place] = waiter;
    this.#ids[place] = id;
    this.#size += 1;
    this.#nextId = (id + 1) >>> 0;
  }

  /** Takes it out; undefined: nobody waits for that answer any more. */
  take(id: number): T | undefined {
    const place = id & (this.#ids.length - 1);
    const waiter = this.#waiters[place];
    if (waiter === undefined || this.#ids[place] !== id) return undefined;
    this.#waiters[place] = undefined;
    this.#size -= 1;
    if (this.#size === 0 && this.#ids.length > KEPT_PLACES) this.#resize(FIRST_PLACES);
    return waiter;
  }

  /**
   * Those that wait now, the oldest first but for those that were passed over. They may be taken meanwhile, and
   * then are not visited any more; who comes meanwhile may be.
   */
  visit(each: (id: number, waiter: T) => void): void {
    if (this.#size === 0) return;
    const waiters = this.#waiters;
    const ids = this.#ids;
    const first = this.#nextId;
    for (let i = 0; i < ids.length; i++) {
      const place = (first + i) & (ids.length - 1);
      const waiter = waiters[place];
      // The table may be another one by now.
      if (waiter !== undefined && this.#holds(ids[place]!, waiter)) each(ids[place]!, waiter);
    }
  }

  #holds(id: number, waiter: T): boolean {
    return this.#waiters[id & (this.#ids.length - 1)] === waiter;
  }

  #resize(places: number): void {
    const waiters = emptyTable<T>(places);
    const ids = new Uint32Array(places);
    // Places that differ in a small table differ in a larger one.
    this.visit((id, waiter) => {
      waiters[id & (places - 1)] = waiter;
      ids[id & (places - 1)] = id;
    });
    this.#waiters = waiters;
    this.#ids = ids;
  }
}

function emptyTable<T>(places: number): (T | undefined)[] {
  return Array.from({ length: places }, () => undefined);
}
