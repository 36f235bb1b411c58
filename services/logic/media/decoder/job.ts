/** What passes between the service and its decoder's process. */
export interface DecodeJob {
  readonly data: Uint8Array;
  readonly pixelsMax: number;
  readonly sideMax: number;
  readonly thumbnailSideMax: number;
}

export interface Picture {
  readonly data: Uint8Array;
  readonly mime: string;
  readonly width: number;
  readonly height: number;
}

export type DecodeResult =
  | { readonly state: "made"; readonly body: Picture; readonly thumbnail: Picture }
  /** For who uploaded it. */
  | { readonly state: "refused"; readonly reason: string };
