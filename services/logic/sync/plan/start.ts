/**
 * From where a device reads its inbox on (M5).
 *
 * What the inbox has forgotten (retention) is gone with its deletions, so a device that was not beyond
 * it cannot go on from where it stands: it reads everything anew. It does so over many pages, whose
 * versions begin below what is forgotten, so its snapshot says that it is doing it, and how much was
 * forgotten when it began; only what is forgotten meanwhile makes it begin again.
 */
export interface Standing {
  readonly messagesVersion: number;
  readonly rebuiltVersion: number;
}

export interface Start extends Standing {
  /** The device is told that this is the first page of everything. */
  readonly rebuild: boolean;
}

export function startOf(standing: Standing, forgottenVersion: number): Start {
  const { messagesVersion, rebuiltVersion } = standing;
  if (messagesVersion >= forgottenVersion || rebuiltVersion >= forgottenVersion) {
    return { ...standing, rebuild: false };
  }
  // A device that has nothing reads everything anyway, and has nothing to give up.
  const rebuild = messagesVersion > 0;
  return { messagesVersion: 0, rebuiltVersion: forgottenVersion, rebuild };
}

/** Once the device is beyond what was forgotten when it began, it is like any other. */
export function standingAt(version: number, { rebuiltVersion }: Standing): Standing {
  return {
    messagesVersion: version,
    rebuiltVersion: version >= rebuiltVersion ? 0 : rebuiltVersion,
  };
}
