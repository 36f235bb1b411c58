/** Reads the commands out of a Markdown page, so that a test can run what a reader would type. */

/** The first line of a block whose commands are short enough to run in the test. */
const RUNS_IN_THE_TEST = "# runs in the test";

/** The commands of every ```sh block, without comments, block by block. */
export function shellBlocks(markdown: string): string[][] {
  return rawBlocks(markdown).map(commandsOf);
}

/** The commands of the blocks that say they run in the test. */
export function testedCommands(markdown: string): string[] {
  return rawBlocks(markdown)
    .filter((block) => block.split("\n")[0] === RUNS_IN_THE_TEST)
    .flatMap(commandsOf);
}

/** The targets of every `make x` in a block or between backticks, sorted. */
export function makeTargets(markdown: string): string[] {
  const inline = [...markdown.matchAll(/`(make [^`\n]+)`/g)].map((match) => match[1]!);
  const commands = [...shellBlocks(markdown).flat(), ...inline];
  const targets = commands.flatMap((command) =>
    [...command.matchAll(/\bmake ([a-z0-9-]+)/g)].map((match) => match[1]!),
  );
  return [...new Set(targets)].sort();
}

function rawBlocks(markdown: string): string[] {
  return [...markdown.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]!);
}

function commandsOf(block: string): string[] {
  return block
    .split("\n")
    .map((line) => line.replace(/(?:^|\s+)#.*$/, "").trim())
    .filter((line) => line !== "");
}
