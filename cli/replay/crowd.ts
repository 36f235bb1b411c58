/**
 * The people of a replay: one client a device, each with its store in a file of its own. They are
 * registered and connected side by side, a few at a time: a password costs the platform more than a
 * thousand messages.
 */
import { TricampusClient } from "../../sdk/client.ts";
import type { Endpoint } from "../../sdk/endpoints.ts";
import { FileStore } from "../../sdk/file-store.ts";
import type { StoredMessage } from "../../sdk/store.ts";
import { inParallel } from "../ledger/in-parallel.ts";
import type { Sender } from "./conversations.ts";
import { deviceFile } from "./files.ts";
import type { PlannedMessage, PlannedUser, ReplayPlan } from "./plan.ts";

const PASSWORD = "replayed-by-tricampus";
const LOGINS_AT_ONCE = 16;
const GROUPS_AT_ONCE = 4;
const SYNCS_AT_ONCE = 8;
const SYNC_ATTEMPTS = 5;

export interface CrowdOptions {
  readonly endpoints: readonly Endpoint[];
  readonly storesDir: string;
  /** A message came in at one of the user's devices that are online from the beginning. */
  readonly arrived: (user: number, clientMessageId: string) => void;
  /** So many devices are ready. */
  readonly progress: (devices: number) => void;
}

interface Device {
  readonly client: TricampusClient;
  readonly store: FileStore;
}

export class Crowd implements Sender {
  readonly #plan: ReplayPlan;
  readonly #options: CrowdOptions;
  /** By user; the first one sends. */
  readonly #devices: Device[][];
  #opened = 0;

  constructor(plan: ReplayPlan, options: CrowdOptions) {
    this.#plan = plan;
    this.#options = options;
    this.#devices = plan.users.map(() => []);
  }

  /** Registers everybody and connects every device. */
  open(): Promise<void> {
    return inParallel(this.#plan.users, LOGINS_AT_ONCE, async (planned, user) => {
      for (const name of planned.devices) {
        const device = this.#makeDevice(planned, user, name);
        const isFirst = this.#devices[user]!.push(device) === 1;
        const { client } = device;
        await (isFirst
          ? client.register(planned.name, PASSWORD)
          : client.login(planned.name, PASSWORD));
        await client.connect();
        this.#opened += 1;
        this.#options.progress(this.#opened);
      }
    });
  }

  /** One group a log, made by its first speaker; resolves to their ids. */
  async makeGroups(): Promise<string[]> {
    const ids: string[] = [];
    await inParallel(this.#plan.groups, GROUPS_AT_ONCE, async ({ title, members }, index) => {
      const userIds = members.map((member) => this.#devices[member]![0]!.client.userId!);
      const maker = this.#devices[members[0]!]![0]!.client;
      ids[index] = await maker.groups.create(title, userIds, `${this.#plan.run}-${index}`);
    });
    return ids;
  }

  async send(user: number, groupId: string, message: PlannedMessage): Promise<void> {
    const { client } = this.#devices[user]![0]!;
    await client.send({ groupId }, message.text, message.clientMessageId);
  }

  /** Those who only sent until now fetch everything. */
  async syncSilent(): Promise<void> {
    const silent = this.#plan.users.flatMap((user, index) =>
      user.onlySends ? this.#devices[index]! : [],
    );
    await inParallel(silent, SYNCS_AT_ONCE, ({ client }) => syncPatiently(client));
  }

  /** Everybody asks once more: what a push promised and never brought is fetched now. */
  async syncAll(): Promise<void> {
    await inParallel(this.#devices.flat(), SYNCS_AT_ONCE, ({ client }) => syncPatiently(client));
  }

  async close(): Promise<void> {
    for (const { client, store } of this.#devices.flat()) {
      await client.close();
      await store.close();
    }
  }

  #makeDevice(planned: PlannedUser, user: number, name: string): Device {
    const { endpoints, storesDir, arrived } = this.#options;
    const store = new FileStore(deviceFile(storesDir, planned.name, name), {
      outlivesPowerCuts: false,
    });
    // Everybody's first choice is another campus, so that all campuses carry their share.
    const first = (user + (name === planned.devices[0] ? 0 : 1)) % endpoints.length;
    const client = new TricampusClient({
      endpoints: [...endpoints.slice(first), ...endpoints.slice(0, first)],
      device: name,
      store,
      wantPush: !planned.onlySends,
      autoSync: !planned.onlySends,
      onMessage: (message: StoredMessage) => {
        if (message.notice === undefined && !planned.onlySends)
          arrived(user, message.clientMessageId);
      },
    });
    return { client, store };
  }
}

async function syncPatiently(client: TricampusClient): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await client.sync();
    } catch (error) {
      if (attempt === SYNC_ATTEMPTS) throw error;
    }
  }
}
