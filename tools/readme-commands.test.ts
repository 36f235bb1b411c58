import { expect, test } from "vitest";
import { makeTargets, shellBlocks, testedCommands } from "./readme-commands.ts";

const PAGE = `Text with \`make demo\`, \`make\` and make believe.

\`\`\`sh
make up    # start
FOO=1 make test
\`\`\`

\`\`\`
make output-not-a-command
\`\`\`

\`\`\`sh
# runs in the test
make help
./tricampus --help
\`\`\`
`;

test("readme commands: blocks are read without their comments", () => {
  expect(shellBlocks(PAGE)).toEqual([
    ["make up", "FOO=1 make test"],
    ["make help", "./tricampus --help"],
  ]);
});

test("readme commands: only marked blocks run in the test", () => {
  expect(testedCommands(PAGE)).toEqual(["make help", "./tricampus --help"]);
});

test("readme commands: targets come from blocks and from backticks", () => {
  expect(makeTargets(PAGE)).toEqual(["demo", "help", "test", "up"]);
});
