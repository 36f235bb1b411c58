/** People for tests: each with a name of its own and a client at the campus that is asked for. */
import { type ClientOptions, type Login, TricampusClient, type Update } from "../client.ts";
import type { Endpoint } from "../endpoints.ts";
import type { StoredMessage } from "../store.ts";

const PASSWORD = "a password";

export interface Person {
  readonly name: string;
  readonly id: string;
  readonly client: TricampusClient;
  /** What the client told the application, in order. */
  readonly heard: StoredMessage[];
  readonly updates: Update[];
}

export class People {
  readonly #endpoints: readonly Endpoint[];
  readonly #run = Math.random().toString(36).slice(2, 8);
  readonly #open: TricampusClient[] = [];
  #scene = 0;

  constructor(endpoints: readonly Endpoint[]) {
    this.#endpoints = endpoints;
  }

  /** From now on the same names are other people. */
  nextScene(): void {
    this.#scene += 1;
  }

  /** Registers, or logs another device of a person in, without connecting: it is offline. */
  async offline(
    name: string,
    { campus = "a", device = "phone", ...options }: PersonOptions = {},
  ): Promise<Person> {
    const heard: StoredMessage[] = [];
    const updates: Update[] = [];
    const client = new TricampusClient({
      endpoints: this.#from(campus),
      device,
      // Pushes are hints: on a busy machine one may be lost.
      fallbackSyncMs: 5_000,
      onMessage: (message) => heard.push(message),
      onUpdate: (update) => updates.push(update),
      ...options,
    });
    this.#open.push(client);
    const fullName = `${name}-${this.#run}-${this.#scene}`;
    const { platform } = options;
    const login = await this.#login(
      fullName,
      platform === undefined ? { device } : { device, platform },
    );
    client.useLogin(login);
    return { name: fullName, id: login.userId, client, heard, updates };
  }

  /** By another client: one that logs in is connected. */
  async #login(name: string, device: Pick<ClientOptions, "device" | "platform">): Promise<Login> {
    const quiet = { wantPush: false, autoSync: false };
    const client = new TricampusClient({ endpoints: this.#endpoints, ...device, ...quiet });
    const login = await client.register(name, PASSWORD);
    await client.close();
    return login;
  }

  /** A client of nobody yet, whose first choice is this campus. */
  stranger(campus: string): TricampusClient {
    const client = new TricampusClient({ endpoints: this.#from(campus), device: "phone" });
    this.#open.push(client);
    return client;
  }

  #from(campus: string): Endpoint[] {
    const first = this.#endpoints.findIndex((endpoint) => endpoint.campus === campus);
    return [...this.#endpoints.slice(first), ...this.#endpoints.slice(0, first)];
  }

  async online(name: string, options: PersonOptions = {}): Promise<Person> {
    const person = await this.offline(name, options);
    await person.client.connect();
    return person;
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.splice(0).map((client) => client.close()));
  }
}

type PersonOptions = Partial<ClientOptions> & { campus?: string; device?: string };

/** What a person said or the group told, short: "2 hello", "3 JOINED". */
export function lines(messages: readonly StoredMessage[], kinds: object): string[] {
  return messages.map((message) => {
    const kind = Object.entries(kinds).find(([, value]) => value === message.notice?.kind)?.[0];
    const body = message.content?.body?.case;
    const text = message.recalled ? "(recalled)" : message.text;
    return [message.sequence, kind, body, text].filter(Boolean).join(" ");
  });
}
