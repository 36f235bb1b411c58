/**
 * The platform from outside: all campuses of one data folder. What runs is told by the data folder
 * (platform.json: the configuration it was started with), so every command needs only that.
 */
import { chmodSync, mkdirSync } from "node:fs";
import { permitBootstrap, permitGroups } from "./bootstrap.ts";
import { Campus, type CampusReport } from "./campus.ts";
import { ConfigError, type PlatformConfig } from "./config.ts";
import { findTakenPort } from "./free-ports.ts";
import { paths, readJson, writeJson } from "./paths.ts";
import { ensureCertificates, ensureSecrets } from "./secrets.ts";

/** What cannot change while data of an earlier start is there. */
const BORN_WITH = ["dc", "campuses"] as const;
const POLL_MS = 50;

export class Platform {
  readonly config: PlatformConfig;
  readonly campuses: readonly Campus[];

  constructor(config: PlatformConfig) {
    this.config = config;
    this.campuses = config.campuses.map((name) => new Campus(config.dataDir, name));
  }

  /** The platform of a data folder; undefined when none was ever started there. */
  static of(dataDir: string): Platform | undefined {
    const config = readJson<PlatformConfig>(paths.platform(dataDir));
    if (config === undefined) return undefined;
    // What an older version did not name is what it had; a folder may have been moved.
    const {
      kvGroups = 1,
      tls = false,
      plaintext = false,
      monitorCentre = [],
      grpcPorts = {},
    } = config;
    return new Platform({ ...config, kvGroups, tls, plaintext, monitorCentre, grpcPorts, dataDir });
  }

  campus(name: string): Campus | undefined {
    return this.campuses.find((campus) => campus.name === name);
  }

  reports(): Promise<CampusReport[]> {
    return Promise.all(this.campuses.map((campus) => campus.report()));
  }

  /** Starts the campuses that are down; returns their names. Does not wait until they serve. */
  async start(): Promise<string[]> {
    const before = Platform.of(this.config.dataDir);
    const reports = await (before ?? this).reports();
    const down = reports.filter((report) => report.state === "down").map((r) => r.campus);
    if (before !== undefined) this.#checkSame(before.config, down.length < reports.length);
    for (const name of down) await this.campus(name)!.endLeftovers();
    const taken = await findTakenPort(this.config, down);
    if (taken !== undefined) {
      throw new ConfigError(
        `port ${taken.port} (${taken.process}) is in use by another program: choose another --base-port`,
      );
    }
    mkdirSync(this.config.dataDir, { recursive: true });
    chmodSync(this.config.dataDir, 0o700);
    ensureSecrets(this.config.dataDir);
    if (this.config.tls) await ensureCertificates(this.config);
    if (before === undefined) permitBootstrap(this.config);
    else permitGroups(this.config, before.config.kvGroups);
    writeJson(paths.platform(this.config.dataDir), this.config);
    for (const name of down) await this.campus(name)!.start();
    return down;
  }

  /** The platform with so many KV groups; those that are added are started, others ended. */
  async withKvGroups(kvGroups: number): Promise<Platform> {
    const changed = new Platform({ ...this.config, kvGroups });
    permitGroups(changed.config, this.config.kvGroups);
    if (changed.config.tls) await ensureCertificates(changed.config);
    writeJson(paths.platform(this.config.dataDir), changed.config);
    await Promise.all(changed.campuses.map((campus) => campus.reload()));
    return changed;
  }

  /**
   * Resolves when every process is ready; rejects with what is not, and where its log lies. `tell` hears
   * how much is not ready, as often as it looks.
   */
  async waitReady(timeoutMs: number, tell: (late: number) => void = () => {}): Promise<void> {
    const giveUp = performance.now() + timeoutMs;
    for (;;) {
      const late = (await this.reports()).flatMap((report) => this.#notReady(report));
      if (late.length === 0) return;
      tell(late.length);
      if (performance.now() >= giveUp) {
        throw new Error(`not ready after ${Math.round(timeoutMs / 1000)} s: ${late.join("; ")}`);
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
  }

  async stop(): Promise<void> {
    await Promise.all(this.campuses.map((campus) => campus.stop()));
  }

  /** kill -9 of everything, as a power cut does it. */
  async kill(): Promise<void> {
    await Promise.all(this.campuses.map((campus) => campus.kill()));
  }

  #notReady({ campus, state, processes }: CampusReport): string[] {
    if (state !== "running" || processes.length === 0) return [`campus ${campus} is ${state}`];
    return processes
      .filter((process) => process.state !== "ready")
      .map(({ name, state: now, lastEnd }) => {
        const why = lastEnd === "" ? "" : `, ended with ${lastEnd}`;
        return `${name} is ${now}${why} (log: ${paths.log(this.config.dataDir, name)})`;
      });
  }

  #checkSame(before: PlatformConfig, running: boolean): void {
    const differs = (field: keyof PlatformConfig) =>
      JSON.stringify(before[field]) !== JSON.stringify(this.config[field]);
    for (const field of BORN_WITH) {
      if (!differs(field)) continue;
      const was = JSON.stringify(before[field]);
      throw new ConfigError(`${field}: the data in ${before.dataDir} was made with ${was}`);
    }
    if (before.kvGroups > this.config.kvGroups) {
      throw new ConfigError(
        `kvGroups: say ${before.kvGroups}, as were started; \`tricampus kv group remove\` takes one out`,
      );
    }
    const fields = Object.keys(this.config) as (keyof PlatformConfig)[];
    const changed = fields.find(differs);
    if (running && changed !== undefined) {
      const was = JSON.stringify(before[changed]);
      throw new ConfigError(
        `${changed}: the platform is running with ${was}; run \`tricampus down\` before changing it`,
      );
    }
  }
}
