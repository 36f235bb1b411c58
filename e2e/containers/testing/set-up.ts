/** Says before the first test when there is nothing to run containers with. */
import { tryRun } from "../../kind/testing/run.ts";

export async function setup(): Promise<void> {
  const { code, stderr } = await tryRun("docker", ["version", "--format", "{{.Server.Version}}"]);
  if (code === 0) return;
  throw new Error(
    "make test-containers starts NATS and Redis in containers and finds no container engine: " +
      `install docker, or start it (docker version: ${stderr.trim().split("\n").at(-1)})`,
  );
}
