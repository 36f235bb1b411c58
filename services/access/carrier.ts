/**
 * What carries the frames of one long connection: a WebSocket, a TCP connection with frames in it, or
 * a row of HTTP requests (long-poll.ts). Whole frames, in order, each once, as long as it is open.
 */
export interface Carrier {
  /** False from when it began to close. */
  readonly isOpen: boolean;
  /** Bytes that wait for the client to take them. */
  readonly bufferedBytes: number;
  send(frame: Buffer): void;
  /** Asks the client for a sign of life. */
  ping(): void;
  /** Ends it behind what was sent. `code`: a WebSocket's, 1001 to 1009; others tell the reason alone. */
  close(code: number, reason: string): void;
  /** Ends it at once. */
  terminate(): void;
}
