/**
 * Commands that messages name can be copied: they begin as this one was called (`./tricampus` in the clone),
 * and are about the same platform. Texts say `tricampus campus start b`; where they leave, this is put in.
 */
const NAMED = /`tricampus ([^`]*)`/g;
const PLATFORM_OPTIONS = ["--context", "--namespace", "--data-center", "--data-dir"];

/** The program as it was typed. */
export const CALLED = process.env.TRICAMPUS_CALLED ?? "tricampus";

/** `words`: this process's command line. */
export function asCalled(text: string, words?: readonly string[], called?: string): string {
  return text.replaceAll(NAMED, (_, rest: string) => `\`${commandFor(rest, words, called)}\``);
}

/** What to type for a command about the same platform. */
export function commandFor(
  rest: string,
  words: readonly string[] = process.argv.slice(2),
  called: string = CALLED,
): string {
  const same = platformOptions(words).map((word) => ` ${quoted(word)}`);
  return `${called} ${rest}${same.join("")}`;
}

/** Of the command line, those that say which platform is meant, with their values. */
function platformOptions(words: readonly string[]): string[] {
  const end = words.indexOf("--");
  return (end === -1 ? words : words.slice(0, end)).flatMap((word, i) => {
    if (PLATFORM_OPTIONS.includes(word)) return words.slice(i, i + 2);
    return PLATFORM_OPTIONS.some((option) => word.startsWith(`${option}=`)) ? [word] : [];
  });
}

/** As a shell reads it back as one word. */
function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
