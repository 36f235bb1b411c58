/** A server in a container that tests kill, pause and bring back; its port here stays the same. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { run, tryRun } from "../../kind/testing/run.ts";

export interface ContainerOptions {
  readonly image: string;
  readonly port: number;
  readonly command: readonly string[];
  /** By path in the container. */
  readonly files?: Readonly<Record<string, string>>;
}

export class Container {
  readonly #id: string;
  /** Where it is reached from here. */
  readonly port: number;

  private constructor(id: string, port: number) {
    this.#id = id;
    this.port = port;
  }

  static async start({ image, port, command, files = {} }: ContainerOptions): Promise<Container> {
    const here = await freePort();
    const [program, ...args] = command;
    const id = await run("docker", [
      "create",
      ...["--label", "tricampus-test", "--entrypoint", program!, "-p", `127.0.0.1:${here}:${port}`],
      image,
      ...args,
    ]);
    const container = new Container(id.trim(), here);
    const dir = mkdtempSync(join(tmpdir(), "tricampus-container-"));
    try {
      for (const [path, text] of Object.entries(files)) {
        writeFileSync(join(dir, "file"), text, { mode: 0o644 });
        await run("docker", ["cp", join(dir, "file"), `${container.#id}:${path}`]);
      }
      await container.bringUp();
      return container;
    } catch (error) {
      await container.remove();
      throw error;
    } finally {
      rmSync(dir, { recursive: true });
    }
  }

  /** As a power cut leaves it, but for the disk's cache. */
  async kill(): Promise<void> {
    await run("docker", ["kill", this.#id]);
  }

  async bringUp(): Promise<void> {
    await run("docker", ["start", this.#id]);
  }

  async pause(): Promise<void> {
    await run("docker", ["pause", this.#id]);
  }

  async unpause(): Promise<void> {
    await run("docker", ["unpause", this.#id]);
  }

  async remove(): Promise<void> {
    await tryRun("docker", ["rm", "--force", "--volumes", this.#id]);
  }
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
