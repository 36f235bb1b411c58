/** What a log-in and a log-out make of a user's devices. */
import {
  makeUserDevice,
  Platform,
  type UserDevice,
} from "../../../../protos/gen/tricampus/client/v1/account_codec.ts";
import type {
  Revocation,
  StoredDevice,
  StoredRevocation,
} from "../../../../protos/gen/tricampus/data/v1/account_codec.ts";

export interface Known {
  readonly devices: readonly StoredDevice[];
  readonly revocations: readonly StoredRevocation[];
}

export interface Times {
  readonly nowMs: number;
  readonly ticketLifetimeMs: number;
}

export interface LoggedIn {
  readonly device: StoredDevice;
  readonly displaced: readonly Revocation[];
}

const DISPLACED = "another device of this kind was logged in";

/**
 * Of the devices of one platform, the one that logged in first goes when there is one too many. A ticket
 * is issued after every log-out of its device, and not before any other of its tickets, whatever the clocks of
 * three campuses say: what is noted of a device is its newest ticket, and a log-out ends all up to that one.
 */
export function planLogIn(
  { devices, revocations }: Known,
  asked: UserDevice & { devicesMax: number; userId: string },
  times: Times,
): LoggedIn {
  const before = devices.find((one) => one.device?.device === asked.device);
  const platform = asked.platform || (before?.device?.platform ?? 0);
  const others = devices.filter(
    ({ device }) => device?.device !== asked.device && isSameKind(device?.platform ?? 0, platform),
  );
  const oldestFirst = others.toSorted((a, b) => a.device!.loggedInAtMs - b.device!.loggedInAtMs);
  const tooMany = Math.max(0, others.length + 1 - asked.devicesMax);
  const displaced = oldestFirst.slice(0, tooMany).map((stored) => {
    const facts = { userId: asked.userId, reason: DISPLACED, ...times };
    return revocationOf(stored, revocations, facts);
  });
  const revokedMs = revocations
    .filter(({ revocation }) => ["", asked.device].includes(revocation!.device))
    .map(({ revocation }) => revocation!.issuedBeforeMs);
  const issuedAtMs = Math.max(times.nowMs, before?.issuedAtMs ?? 0, ...revokedMs);
  const loggedInAtMs = before?.device?.loggedInAtMs ?? times.nowMs;
  const device = makeUserDevice({ device: asked.device, platform, loggedInAtMs });
  return { device: { device, issuedAtMs }, displaced };
}

/** Who names no platform is one of "other": both count together. */
function isSameKind(one: Platform, other: Platform): boolean {
  return (one || Platform.OTHER) === (other || Platform.OTHER);
}

/**
 * Why a device may not renew its ticket; undefined: it may. The process that took the ticket for good may not
 * have heard yet that it is not; a device that has no row was logged out.
 */
export function reasonAgainstRenewal(
  { devices, revocations }: Known,
  { device, issuedAtMs }: { device: string; issuedAtMs: number },
): string | undefined {
  const against = revocations.find(({ revocation }) => {
    const { device: whose, issuedBeforeMs } = revocation!;
    return ["", device].includes(whose) && issuedAtMs < issuedBeforeMs;
  });
  if (against !== undefined) return against.revocation!.reason;
  const isThere = devices.some((one) => one.device!.device === device);
  return isThere ? undefined : "it is none of the user's devices";
}

/** Ends every ticket that the device has now; never fewer than the log-out that it takes the place of. */
export function revocationOf(
  { device, issuedAtMs }: StoredDevice,
  revocations: Known["revocations"],
  facts: Times & { userId: string; reason: string },
): Revocation {
  const { userId, reason, nowMs, ticketLifetimeMs } = facts;
  const name = device!.device;
  const before = revocations.find(({ revocation }) => revocation!.device === name)?.revocation;
  const issuedBeforeMs = Math.max(Math.max(nowMs, issuedAtMs) + 1, before?.issuedBeforeMs ?? 0);
  const untilMs = issuedBeforeMs + ticketLifetimeMs;
  return { userId, device: name, issuedBeforeMs, untilMs, reason };
}

/** Ends every ticket that any device has now. */
export function revocationOfAll(
  { devices, revocations }: Known,
  facts: Times & { userId: string; reason: string },
): Revocation {
  const newestMs = devices.reduce((newest, one) => Math.max(newest, one.issuedAtMs), 0);
  const device = makeUserDevice({ device: "" });
  return revocationOf({ device, issuedAtMs: newestMs }, revocations, facts);
}
