/**
 * Where every service is, by the mounted file: read once at the start, and again when it changes. A
 * process works with what it read last, whatever happens to those who write the file, and an address
 * counts from the next connection on. A file that cannot be read changes nothing and is told.
 */
import { readFileSync, unwatchFile, watchFile } from "node:fs";
import type { ServiceAddress } from "../../svrkit/client.ts";
import { setTrouble } from "../../svrkit/monitors/trouble.ts";
import { checkedAgainst } from "../checked.ts";
import type { ServiceName } from "../services.ts";
import { type AddressBookFile, addressBookSchema } from "./files.ts";

/** A mounted file is a link that is swapped: looked at, since links are not watched. */
const LOOK_EVERY_MS = 1_000;

export class AddressBook {
  readonly #path: string;
  readonly #campuses: readonly string[];
  #file: AddressBookFile;

  /** Throws when the file is missing or says nothing that can be read. */
  constructor(path: string, campuses: readonly string[]) {
    this.#path = path;
    this.#campuses = campuses;
    this.#file = this.#read();
  }

  follow(): void {
    watchFile(this.#path, { interval: LOOK_EVERY_MS, persistent: false }, () => this.#readAgain());
  }

  stop(): void {
    unwatchFile(this.#path);
  }

  /** One address a campus; one that is not known (yet) throws when it is used. */
  of(service: ServiceName): ServiceAddress[] {
    const door = () => this.#file.services[service];
    return this.#campuses.map((campus): ServiceAddress => {
      const address = () => {
        const found = this.#file.doors[door() ?? ""]?.[campus];
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

  #readAgain(): void {
    try {
      this.#file = this.#read();
      setTrouble("addresses", undefined);
    } catch (error) {
      setTrouble("addresses", `the old ones are used: ${(error as Error).message}`);
    }
  }

  #read(): AddressBookFile {
    return checkedAgainst(
      addressBookSchema,
      JSON.parse(readFileSync(this.#path, "utf8")),
      this.#path,
    );
  }
}
