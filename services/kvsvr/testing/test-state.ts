/** A state for tests of one: on the system's files, with room for all that tests put into it. */
import { silentLogger } from "../../svrkit/log.ts";
import { systemFiles } from "../storage/files.ts";
import { State, type StateOptions } from "../storage/state.ts";

type Given = Pick<StateOptions, "engine" | "dir"> & Partial<StateOptions>;

/** A fatal error is thrown where it comes up, unless `fatal` is given. */
export function openTestState(given: Given): Promise<State> {
  return State.open({
    files: systemFiles,
    cacheBytes: 1 << 30,
    checkpointBytes: 1 << 27,
    checkpointMs: 60_000,
    log: silentLogger(),
    fatal: (error) => {
      throw error;
    },
    ...given,
  });
}
