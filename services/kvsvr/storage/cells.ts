/**
 * Blocks of bytes that live outside of the collector's heap. A register that lies in memory for seconds
 * and is then replaced is the worst case of a generational collector: it outlives the young generation,
 * and every replaced one has to be found by marking all the others. Here it is one block, given back by
 * hand.
 *
 *   size classes a quarter apart -> slabs of one class each -> blocks, free ones chained through themselves
 *
 * A block larger than the largest class is a buffer of its own. Who frees a block must have no view of it.
 */

const SLAB_BYTES = 256 * 1024;
const SMALLEST_BYTES = 64;
const LARGEST_BYTES = 16 * 1024;
const GROWTH = 1.25;
const ALIGN_BYTES = 16;
/** Length of what a block holds, in front of it; of a free block: the next free one's number. */
const HEAD_BYTES = 4;
const NONE = 0xffffffff;
/** A reference is a slab's number and a block's number in it. */
const BLOCKS_MAX = SLAB_BYTES / SMALLEST_BYTES;
/** In place of a class: a slab that is one block. */
const LARGE = -1;

/** Of all blocks of one class; ascending. */
const CLASS_BYTES: readonly number[] = classSizes();

function classSizes(): number[] {
  const sizes: number[] = [];
  for (let size = SMALLEST_BYTES; size < LARGEST_BYTES; ) {
    sizes.push(size);
    size = Math.ceil((size * GROWTH) / ALIGN_BYTES) * ALIGN_BYTES;
  }
  return [...sizes, LARGEST_BYTES];
}

interface Slab {
  readonly number: number;
  readonly buffer: Buffer;
  readonly blockBytes: number;
  readonly class: number;
  /** First of the free blocks that were used before; NONE: there is none. */
  freed: number;
  /** Blocks from here on were never used. */
  fresh: number;
  used: number;
}

export class Cells {
  readonly #slabs: (Slab | undefined)[] = [];
  /** Numbers that slabs have left. */
  readonly #vacant: number[] = [];
  /** By class: slabs with a free block; the last one is taken from. */
  readonly #partial: Slab[][] = CLASS_BYTES.map(() => []);
  #bytes = 0;

  /** Memory of all slabs. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Copies `bytes` into a block; returns its reference, which is above 0. */
  put(bytes: Uint8Array): number {
    const size = HEAD_BYTES + bytes.length;
    const slab = size > LARGEST_BYTES ? this.#addSlab(LARGE, size) : this.#slabFor(size);
    const block = takeBlock(slab);
    if (slab.class !== LARGE && isFull(slab)) this.#partial[slab.class]!.pop();
    write(slab, block, bytes);
    return slab.number * BLOCKS_MAX + block + 1;
  }

  /** Puts other bytes in place of a block's (0: there is none); its reference may be another then. */
  replace(reference: number, bytes: Uint8Array): number {
    if (reference === 0) return this.put(bytes);
    const slab = this.#slabOf(reference);
    const size = HEAD_BYTES + bytes.length;
    if (slab.class === LARGE || size > LARGEST_BYTES || classOf(size) !== slab.class) {
      this.free(reference);
      return this.put(bytes);
    }
    write(slab, blockIn(reference), bytes);
    return reference;
  }

  /** The buffer that holds a block's bytes, from `startOf` on. */
  bufferOf(reference: number): Buffer {
    return this.#slabOf(reference).buffer;
  }

  startOf(reference: number): number {
    return blockIn(reference) * this.#slabOf(reference).blockBytes + HEAD_BYTES;
  }

  /** What a block holds, until it is freed or replaced. */
  view(reference: number): Buffer {
    const { buffer, blockBytes } = this.#slabOf(reference);
    const at = blockIn(reference) * blockBytes;
    const start = at + HEAD_BYTES;
    return buffer.subarray(start, start + buffer.readUInt32LE(at));
  }

  /** Memory that the block takes. */
  sizeOf(reference: number): number {
    return this.#slabOf(reference).blockBytes;
  }

  free(reference: number): void {
    const slab = this.#slabOf(reference);
    if (slab.class === LARGE) {
      this.#removeSlab(slab);
      return;
    }
    const block = blockIn(reference);
    const wasFull = isFull(slab);
    slab.buffer.writeUInt32LE(slab.freed, block * slab.blockBytes);
    slab.freed = block;
    slab.used -= 1;
    const partial = this.#partial[slab.class]!;
    if (wasFull) partial.unshift(slab);
    if (slab.used > 0 || partial.length === 1) return;
    partial.splice(partial.indexOf(slab), 1);
    this.#removeSlab(slab);
  }

  #slabOf(reference: number): Slab {
    const slab = this.#slabs[Math.floor((reference - 1) / BLOCKS_MAX)];
    if (slab === undefined) throw new Error(`there is no block ${reference}`);
    return slab;
  }

  #slabFor(size: number): Slab {
    const sizeClass = classOf(size);
    return this.#partial[sizeClass]!.at(-1) ?? this.#addSlab(sizeClass, size);
  }

  #addSlab(sizeClass: number, size: number): Slab {
    const blockBytes = CLASS_BYTES[sizeClass] ?? size;
    const number = this.#vacant.pop() ?? this.#slabs.length;
    const buffer = Buffer.allocUnsafeSlow(sizeClass === LARGE ? size : SLAB_BYTES);
    const slab: Slab = {
      number,
      buffer,
      blockBytes,
      class: sizeClass,
      freed: NONE,
      fresh: 0,
      used: 0,
    };
    this.#slabs[number] = slab;
    this.#bytes += buffer.length;
    if (sizeClass !== LARGE) this.#partial[sizeClass]!.push(slab);
    return slab;
  }

  #removeSlab(slab: Slab): void {
    this.#slabs[slab.number] = undefined;
    this.#vacant.push(slab.number);
    this.#bytes -= slab.buffer.length;
  }
}

function isFull({ used, buffer, blockBytes }: Slab): boolean {
  return used === Math.floor(buffer.length / blockBytes);
}

function takeBlock(slab: Slab): number {
  slab.used += 1;
  if (slab.freed === NONE) return slab.fresh++;
  const block = slab.freed;
  slab.freed = slab.buffer.readUInt32LE(block * slab.blockBytes);
  return block;
}

function write({ buffer, blockBytes }: Slab, block: number, bytes: Uint8Array): void {
  const at = block * blockBytes;
  buffer.writeUInt32LE(bytes.length, at);
  buffer.set(bytes, at + HEAD_BYTES);
}

function blockIn(reference: number): number {
  return (reference - 1) % BLOCKS_MAX;
}

/** Smallest class that holds so many bytes. */
function classOf(size: number): number {
  let low = 0;
  let high = CLASS_BYTES.length - 1;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (CLASS_BYTES[middle]! >= size) high = middle;
    else low = middle + 1;
  }
  return low;
}
