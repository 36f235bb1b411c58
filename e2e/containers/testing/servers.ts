/** NATS and Redis as the engines need them, with a password. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { natsText } from "../../../operator/manifests/engine-servers.ts";
import { Container } from "./container.ts";

const USERNAME = "tricampus";
const PASSWORD = "a password of tests";

export const NATS_SUBSCRIPTIONS_MAX = 50;

const NATS_IMAGE = process.env.NATS_IMAGE ?? "nats:2.14-alpine";
const REDIS_IMAGE = process.env.REDIS_IMAGE ?? "redis:7";

/** What the operator's NATS is started with, but for where it listens and who may. */
export function startNats(): Promise<Container> {
  const who = `authorization { user: "${USERNAME}", password: "${PASSWORD}" }`;
  const text = natsText({ host: "0.0.0.0", dir: "/data" });
  // A connection needs a handful: one that gives none back is cut off.
  const bounded = `max_subscriptions: ${NATS_SUBSCRIPTIONS_MAX}`;
  return Container.start({
    image: NATS_IMAGE,
    port: 4222,
    command: ["nats-server", "--config", "/nats.conf"],
    files: { "/nats.conf": `${text}${who}\n${bounded}\n` },
  });
}

export function startRedis(): Promise<Container> {
  const memoryOnly = ["--save", "", "--appendonly", "no"];
  return Container.start({
    image: REDIS_IMAGE,
    port: 6379,
    command: ["redis-server", "--bind", "0.0.0.0", ...memoryOnly, "--requirepass", PASSWORD],
  });
}

/** A folder as a mounted Secret is. */
export function secretsFolder(names: readonly ("username" | "password")[]): string {
  const dir = mkdtempSync(join(tmpdir(), "tricampus-secrets-"));
  const texts = { username: USERNAME, password: PASSWORD };
  for (const name of names) writeFileSync(join(dir, name), texts[name]);
  return dir;
}
