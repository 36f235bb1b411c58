/** A number from the command line. */
export function wholeNumber(flag: string, text: string): number {
  if (!/^\d{1,10}$/.test(text))
    throw new RangeError(`${flag}: "${text}" is not a whole number of 0 or more`);
  return Number(text);
}
