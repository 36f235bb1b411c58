/** The one clock of a torture: CLOCK_MONOTONIC, which all processes of a machine share; ms, with µs. */
export const machineClock = {
  get nowMs(): number {
    return Number(process.hrtime.bigint() / 1_000n) / 1_000;
  },
};
