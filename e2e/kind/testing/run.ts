/** Programs that tests of clusters run: what they print, or an error that says what they printed. */
import { execFile } from "node:child_process";

export interface RunOptions {
  readonly input?: string;
  readonly env?: NodeJS.ProcessEnv;
  readonly timeoutMs?: number;
}

export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

const TIMEOUT_MS = 120_000;
const OUTPUT_BYTES_MAX = 64 * 1024 * 1024;

/** Resolves whatever the exit code is; -1 when it could not be started or took too long. */
export function tryRun(
  program: string,
  args: readonly string[],
  { input, env, timeoutMs = TIMEOUT_MS }: RunOptions = {},
): Promise<Ran> {
  return new Promise((resolve) => {
    const options = {
      env: { ...process.env, ...env },
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      maxBuffer: OUTPUT_BYTES_MAX,
    } as const;
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ code, stdout, stderr: code === -1 ? `${error?.message}\n${stderr}` : stderr });
    });
    child.stdin?.on("error", () => {}); // it may end without having read everything
    child.stdin?.end(input ?? "");
  });
}

/** What it printed; throws when it fails. */
export async function run(
  program: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<string> {
  const { code, stdout, stderr } = await tryRun(program, args, options);
  if (code === 0) return stdout;
  throw new Error(`${program} ${args.join(" ")}: exit code ${code}\n${stdout}${stderr}`);
}
