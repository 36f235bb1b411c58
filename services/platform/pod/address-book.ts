/**
 * Where every service is, by the mounted file: read once at the start, and again when it changes. A
 * process works with what it read last, whatever happens to those who write the file, and an address
 * counts from the next connection on. A file that cannot be read changes nothing and is told.
 */
import { readFileSync } from "node:fs";
import type { ServiceAddress } from "../../svrkit/client.ts";
import { signatureOfFiles, Watched } from "../../svrkit/config/watched.ts";
import { checkedAgainst } from "../checked.ts";
import type { ServiceName } from "../services.ts";
import { type AddressBookFile, addressBookSchema } from "./files.ts";

const LOOK_EVERY_MS = 1_000;

export class AddressBook {
  readonly #campuses: readonly string[];
  readonly #file: Watched<AddressBookFile>;

  /** Throws when the file is missing or says nothing that can be read. */
  constructor(path: string, campuses: readonly string[]) {
    this.#campuses = campuses;
    this.#file = new Watched({
      name: "addresses",
      load: () => checkedAgainst(addressBookSchema, JSON.parse(readFileSync(path, "utf8")), path),
      signature: () => signatureOfFiles([path]),
    });
  }

  follow(): void {
    this.#file.watch(LOOK_EVERY_MS);
  }

  stop(): void {
    this.#file.stop();
  }

  /** One address a campus; one that is not known (yet) throws when it is used. */
  of(service: ServiceName): ServiceAddress[] {
    const door = () => this.#file.value.services[service];
    return this.#campuses.map((campus): ServiceAddress => {
      const address = () => {
        const found = this.#file.value.doors[door() ?? ""]?.[campus];
        if (found !== undefined) return found;
        throw new Error(`no address of ${service} in campus ${campus} is known yet`);
      };
      return {
        campus,
        label: `campus ${campus}: ${door() ?? service}`,
        get host() {
          return address().host;
        },
        get port() {
          return address().port;
        },
      };
    });
  }
}
