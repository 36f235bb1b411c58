/**
 * What loads there are. W1-W8 are shaped like those by which other systems are measured; the others are
 * one kind of traffic each. A factor scales how many people and conversations there are and how much
 * they do; how large a group or a message is stays.
 */
interface GroupKind {
  readonly count: number;
  readonly members: number;
}

export interface Profile {
  readonly name: string;
  readonly summary: string;
  /** Users that are connected, and users that are not until the end. */
  readonly online: number;
  readonly offline: number;
  /** Of the online users one in so many has a second device, online too; 0: nobody. */
  readonly secondDeviceOneIn: number;
  readonly pairs: number;
  /** Each send is the first one of its conversation, instead of one drawn among `pairs`. */
  readonly newPairs: boolean;
  readonly groups: readonly GroupKind[];
  /** Contacts of each user. */
  readonly contacts: number;
  readonly sendsPerSecond: number;
  /** Share (0-1) of the sends that go to groups. */
  readonly groupShare: number;
  /** Bytes of a text and the share of the sends that have it. */
  readonly payload: readonly (readonly [share: number, bytes: number])[];
  /** Connections that end and come back: with the ticket they have, or with the password. */
  readonly reconnectsPerSecond: number;
  readonly loginsPerSecond: number;
  readonly seconds: number;
  /** All connect to the first campus. */
  readonly oneCampus: boolean;
  /** Users of a generator that sync at once, at the end. */
  readonly syncsAtOnce: number;
  /** The rate is raised until the platform cannot follow. */
  readonly searches: boolean;
  /** A campus is lost on the way. */
  readonly losesCampus: boolean;
}

const SHORT: Profile["payload"] = [[1, 256]];
/** Texts, a few of them long. */
const MIXED: Profile["payload"] = [
  [0.7, 256],
  [0.25, 1_024],
  [0.04, 4_096],
  [0.01, 16_384],
];
/** Sessions of 5 minutes to 6 hours, evenly over their logarithm. */
const SESSION_SECONDS = (21_600 - 300) / Math.log(21_600 / 300);
const RETURNING_SHARE = 0.2;

const NOTHING: Omit<Profile, "name" | "summary"> = {
  ...{ online: 0, offline: 0, secondDeviceOneIn: 0, pairs: 0, newPairs: false, groups: [] },
  ...{ contacts: 0, sendsPerSecond: 0, groupShare: 0, payload: SHORT },
  ...{ reconnectsPerSecond: 0, loginsPerSecond: 0, seconds: 60, oneCampus: false },
  ...{ syncsAtOnce: 8, searches: false, losesCampus: false },
};

const DAY_IN_THE_LIFE = {
  ...NOTHING,
  online: 10_000,
  secondDeviceOneIn: 20,
  pairs: 8_000,
  groups: [
    { count: 1_600, members: 8 },
    { count: 300, members: 30 },
    { count: 99, members: 200 },
    { count: 1, members: 500 },
  ],
  sendsPerSecond: 2_000,
  groupShare: 0.1,
  payload: MIXED,
  reconnectsPerSecond: (10_000 / SESSION_SECONDS) * RETURNING_SHARE,
  loginsPerSecond: (10_000 / SESSION_SECONDS) * (1 - RETURNING_SHARE),
};

const ONE_GROUP = {
  groups: [{ count: 1, members: 500 }],
  groupShare: 1,
  online: 100,
  offline: 400,
};

export const PROFILES: readonly Profile[] = [
  { ...DAY_IN_THE_LIFE, name: "W1", summary: "a day in the life: 10,000 online, 2,000 sends/s" },
  {
    ...NOTHING,
    name: "W2",
    summary: "steady: 1,000 pairs, 300 groups of 200 and 500 with a quarter online, 600 sends/s",
    ...{ online: 20_000, offline: 60_000, pairs: 1_000, sendsPerSecond: 600, groupShare: 1 / 3 },
    groups: [
      { count: 200, members: 200 },
      { count: 100, members: 500 },
    ],
    seconds: 120,
  },
  {
    ...NOTHING,
    name: "W4",
    summary: "churn: a fifth of 20,000 connections is replaced every minute",
    ...{ online: 20_000, pairs: 10_000, groups: [{ count: 2_000, members: 10 }] },
    ...{ sendsPerSecond: 500, groupShare: 0.5, reconnectsPerSecond: 20_000 / 5 / 60 },
  },
  {
    ...NOTHING,
    name: "W5",
    summary: "a login storm: users with 18 contacts, 550 come back a second, a tenth by password",
    ...{ online: 2_000, contacts: 18, reconnectsPerSecond: 495, loginsPerSecond: 55, seconds: 30 },
  },
  {
    ...DAY_IN_THE_LIFE,
    name: "W6",
    summary: "how much W1 can be: the rate rises until the 99th percentile or errors say stop",
    ...{ sendsPerSecond: 500, seconds: 10, searches: true },
  },
  {
    ...NOTHING,
    name: "W7",
    summary: "15,000 idle connections at one access process",
    ...{ online: 15_000, oneCampus: true },
  },
  {
    ...DAY_IN_THE_LIFE,
    name: "W8",
    summary: "W1, and a campus is killed, frozen or cut off on the way",
    losesCampus: true,
  },
  {
    ...NOTHING,
    name: "direct",
    summary: "1:1 alone: 500 pairs, 2,000 sends/s of 256 bytes",
    ...{ online: 1_000, pairs: 500, sendsPerSecond: 2_000, seconds: 30 },
  },
  {
    ...NOTHING,
    ...ONE_GROUP,
    name: "group",
    summary: "one group of 500 with 100 online, 5 sends/s",
    ...{ sendsPerSecond: 5, seconds: 30 },
  },
  {
    ...NOTHING,
    ...ONE_GROUP,
    name: "fan-out",
    summary: "the same group, 40 sends/s: 20,000 inbox rows/s",
    ...{ sendsPerSecond: 40, seconds: 30 },
  },
  {
    ...NOTHING,
    name: "first-message",
    summary: "every send is its conversation's first, 60 a second",
    ...{ online: 1_000, newPairs: true, sendsPerSecond: 60, seconds: 30 },
  },
  {
    ...NOTHING,
    name: "backlog",
    summary: "members of a group who were away for 1,000 messages sync",
    ...{ online: 10, offline: 20, groups: [{ count: 1, members: 30 }], groupShare: 1 },
    ...{ sendsPerSecond: 50, seconds: 20, syncsAtOnce: 1 },
  },
];

/** What the command line may change. */
export interface Scale {
  readonly factor: number;
  readonly seconds?: number | undefined;
  readonly sendsPerSecond?: number | undefined;
}

export function scaleProfile(
  profile: Profile,
  { factor, seconds, sendsPerSecond }: Scale,
): Profile {
  const count = (value: number, least = 1) =>
    value === 0 ? 0 : Math.max(least, Math.round(value * factor));
  return {
    ...profile,
    online: count(profile.online, 2),
    offline: count(profile.offline),
    pairs: count(profile.pairs),
    groups: profile.groups.map((kind) => ({ ...kind, count: count(kind.count) })),
    sendsPerSecond: sendsPerSecond ?? profile.sendsPerSecond * factor,
    reconnectsPerSecond: profile.reconnectsPerSecond * factor,
    loginsPerSecond: profile.loginsPerSecond * factor,
    seconds: seconds ?? profile.seconds,
  };
}
