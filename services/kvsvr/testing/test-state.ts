/** A state for tests of one: on the system's files, with room for all that tests put into it. */
import { silentLogger } from "../../svrkit/log.ts";
import { systemFiles } from "../storage/files.ts";
import { type Forgotten, State, type StateOptions } from "../storage/state.ts";

type Given = Pick<StateOptions, "engine" | "dir"> & Partial<StateOptions>;

/** A fatal error is thrown where it comes up, unless `fatal` is given. */
export function openTestState(given: Given, forgotten?: Forgotten): Promise<State> {
  const options: StateOptions = {
    files: systemFiles,
    cacheBytes: 1 << 30,
    checkpointBytes: 1 << 27,
    checkpointMs: 60_000,
    log: silentLogger(),
    fatal: (error) => {
      throw error;
    },
    ...given,
  };
  return State.open(options, forgotten);
}
