/** What a device knows of its user's account, made from the rows it was sent. Pure. */
import type {
  AccountChange,
  AccountSettings,
  UserDevice,
  UserProfile,
} from "../protos/gen/tricampus/client/v1/account_codec.ts";

export class AccountBook {
  readonly #devices = new Map<string, UserDevice>();
  #profile: UserProfile | undefined;
  #settings: AccountSettings | undefined;

  get isEmpty(): boolean {
    const hasFacts = this.#profile !== undefined || this.#settings !== undefined;
    return !hasFacts && this.#devices.size === 0;
  }

  get profile(): UserProfile | undefined {
    return this.#profile;
  }

  /** Undefined: the user has set none. */
  get settings(): AccountSettings | undefined {
    return this.#settings;
  }

  /** Devices that are logged in. */
  get devices(): ReadonlyMap<string, UserDevice> {
    return this.#devices;
  }

  apply({ change }: AccountChange): void {
    switch (change?.case) {
      case "profile":
        this.#profile = change.value;
        return;
      case "settings":
        this.#settings = change.value;
        return;
      case "device":
        this.#devices.set(change.value.device, change.value);
        return;
      case "goneDevice":
        this.#devices.delete(change.value);
        return;
    }
  }
}
