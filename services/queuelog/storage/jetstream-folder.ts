/**
 * A log's segment files in a JetStream stream, so that the log's engine (embedded.ts), its format and its
 * checks are the same on a disk and in NATS.
 *
 *   <file>.data   the next bytes of the file; the header says at which position they stand
 *   <file>.cut    the file ends at the position in the header, whatever stood behind it
 *
 * What was written last at a position counts, as in a file. Bytes that are missing in between are read as
 * zeros, which no checksum takes for a record: so a stream that lost messages is found damaged.
 */
import assert from "node:assert/strict";
import type { Access, SegmentFile, SegmentFolder } from "./files.ts";
import type { OwnedStream } from "./owned-stream.ts";

const AT = "Tricampus-At";

interface Part {
  readonly at: number;
  readonly bytes: number;
  readonly sequence: number;
}

export class JetStreamFolder implements SegmentFolder {
  readonly #stream: OwnedStream;
  /** By file: what it consists of, in the order of positions. */
  readonly #files: Map<string, Part[]>;

  private constructor(stream: OwnedStream, files: Map<string, Part[]>) {
    this.#stream = stream;
    this.#files = files;
  }

  /** Goes through the whole stream. */
  static async open(stream: OwnedStream): Promise<JetStreamFolder> {
    const files = new Map<string, Part[]>();
    let seen = 0;
    for await (const message of stream.read(1, stream.last)) {
      seen = message.seq;
      const [name, kind] = splitSubject(stream.subjectOf(message));
      if (kind === undefined) continue; // a claim
      const at = Number(message.header.get(AT));
      const parts = cutAt(files.get(name) ?? [], at);
      if (kind === "data") parts.push({ at, bytes: message.data.length, sequence: message.seq });
      files.set(name, parts);
    }
    // The claim is last: a copy of the stream that lags behind would make a log that forgot its end.
    assert.equal(seen, stream.last, "the stream is read to its end");
    return new JetStreamFolder(stream, files);
  }

  async list(): Promise<string[]> {
    return [...this.#files].flatMap(([name, parts]) => (parts.length > 0 ? [name] : [])).sort();
  }

  async open(name: string, access: Access): Promise<SegmentFile> {
    const isSomething = this.#stream.isUnsure || sizeOf(this.#partsOf(name)) > 0;
    if (access === "create" && isSomething) await this.#cut(name, 0);
    return {
      size: async () => sizeOf(this.#partsOf(name)),
      read: (position, length) => this.#read(name, position, length),
      write: (bytes, position) => this.#write(name, bytes, position),
      // What was acknowledged is synced.
      datasync: async () => {},
      truncate: (size) => this.#cut(name, size),
      close: async () => {},
    };
  }

  async remove(name: string): Promise<void> {
    await this.#stream.purge(name);
    this.#files.delete(name);
  }

  async sync(): Promise<void> {}

  #partsOf(name: string): Part[] {
    return this.#files.get(name) ?? [];
  }

  async #write(name: string, bytes: Buffer, position: number): Promise<void> {
    const parts = this.#partsOf(name);
    assert.equal(sizeOf(parts), position, `${name} is written at its end`);
    this.#files.set(name, parts);
    const most = this.#stream.messageBytesMax;
    for (let done = 0; done < bytes.length; ) {
      const some = bytes.subarray(done, done + most);
      const at = position + done;
      const sequence = await this.#stream.append(`${name}.data`, some, { [AT]: String(at) });
      parts.push({ at, bytes: some.length, sequence });
      done += some.length;
    }
  }

  async #cut(name: string, size: number): Promise<void> {
    await this.#stream.takeBack(`${name}.cut`, { [AT]: String(size) });
    this.#files.set(name, cutAt(this.#partsOf(name), size));
  }

  async #read(name: string, position: number, length: number): Promise<Buffer> {
    const parts = this.#partsOf(name);
    const end = Math.min(position + length, sizeOf(parts));
    const wanted = parts.filter((part) => part.at < end && part.at + part.bytes > position);
    const found = Buffer.alloc(Math.max(0, end - position));
    const [first] = wanted;
    if (first === undefined) return found;
    const bySequence = new Map(wanted.map((part) => [part.sequence, part]));
    const through = wanted.at(-1)!.sequence;
    for await (const { seq, data } of this.#stream.read(first.sequence, through, `${name}.data`)) {
      const part = bySequence.get(seq);
      if (part === undefined) continue; // what was cut
      const skipped = Math.max(0, position - part.at);
      found.set(data.subarray(skipped, end - part.at), part.at + skipped - position);
    }
    return found;
  }
}

/** Parts are whole: what is cut begins where something was written. */
function cutAt(parts: Part[], size: number): Part[] {
  return parts.filter((part) => part.at < size);
}

function sizeOf(parts: readonly Part[]): number {
  const last = parts.at(-1);
  return last === undefined ? 0 : last.at + last.bytes;
}

/** "00000001.log.data" -> ["00000001.log", "data"]; a claim has no kind. */
function splitSubject(subject: string): [string, string | undefined] {
  const end = subject.lastIndexOf(".");
  return end < 0 ? [subject, undefined] : [subject.slice(0, end), subject.slice(end + 1)];
}
