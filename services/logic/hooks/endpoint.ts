/** An integrator's server: one signed POST at a time, and what became of it. */
import { SIGNATURE_HEADER, signatureOf } from "../signature.ts";

export type PostOutcome =
  | { readonly kind: "taken" }
  /** The server does not want this: to send it again would change nothing. */
  | { readonly kind: "refused"; readonly why: string }
  | { readonly kind: "failed"; readonly why: string };

export interface EndpointParts {
  readonly url: string;
  /** As it is now. */
  readonly secret: () => string;
  readonly timeoutMs: number;
  /** Milliseconds since 1970. */
  readonly now: () => number;
}

/** Statuses of 400-499 that say nothing about the request itself. */
const TRY_AGAIN = [401, 403, 404, 408, 425, 429];

export class Endpoint {
  readonly #parts: EndpointParts;

  constructor(parts: EndpointParts) {
    this.#parts = parts;
  }

  /** Never rejects; ended early by `stopped`, it has failed. */
  async post(body: string, stopped: AbortSignal): Promise<PostOutcome> {
    const { url, secret, timeoutMs, now } = this.#parts;
    try {
      const response = await fetch(url, {
        ...{ method: "POST", body, redirect: "error" },
        signal: AbortSignal.any([stopped, AbortSignal.timeout(timeoutMs)]),
        headers: {
          "content-type": "application/json",
          [SIGNATURE_HEADER]: signatureOf(secret(), now(), body),
        },
      });
      // The status is all of the answer.
      await response.body?.cancel();
      if (response.ok) return { kind: "taken" };
      const { status } = response;
      const isFinal = status >= 400 && status < 500 && !TRY_AGAIN.includes(status);
      return { kind: isFinal ? "refused" : "failed", why: `status ${status}` };
    } catch (error) {
      return { kind: "failed", why: reasonOf(error) };
    }
  }
}

function reasonOf(error: unknown): string {
  const { message, cause } = error as Error;
  return cause instanceof Error && cause.message !== "" ? cause.message : message;
}
