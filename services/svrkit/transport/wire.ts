/**
 * A Wire is one ordered, reliable byte stream between two processes: TCP in production
 * (tcp.ts), a pair of queues in tests (memory.ts). Sessions know nothing below it.
 */
export interface WireEvents {
  /** `arrivedMs`: monotonic time since when the chunk may have been waiting. */
  data(chunk: Buffer, arrivedMs: number): void;
  /** Called once; nothing comes after it. */
  closed(reason: string): void;
}

export interface Wire {
  /** For logs: "127.0.0.1:7101". */
  readonly remote: string;
  /** The services that the far end has proved to be; undefined on a plain wire, which proves nothing. */
  readonly proved: ReadonlySet<string> | undefined;
  /** Bytes accepted by `write` and not yet handed to the other side. */
  bufferedBytes(): number;
  write(chunk: Buffer): void;
  /** Ends the stream after what was written, without waiting for the other side. */
  close(): void;
  bind(events: WireEvents): void;
  /** The far end turned out to be in this process's own campus: the border lets it pass. */
  markInside(): void;
}
