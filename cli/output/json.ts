/** Output for programs: one object, one line, on stdout. */
export function printJson(value: unknown): void {
  console.log(JSON.stringify(value));
}
