import { expect, test } from "vitest";
import { composeProcess, type PodFacts } from "./compose.ts";

const FACTS: PodFacts = {
  filesDir: "/etc/tricampus",
  dataDir: "/var/lib/tricampus",
  campus: "b",
  host: "0.0.0.0",
  pod: "logic-b-7d9fbc-x2x7k",
  signingKeys: ["k1", "k2"],
  tls: true,
};

const LOGIC = {
  dc: 7,
  campuses: ["a", "b", "c"],
  process: "logic",
  doors: [
    { port: 7101, services: ["access", "account", "queuelog-1"] },
    { port: 7102, services: ["queuelog-2"] },
  ],
  options: { text: {}, account: { passwordMemoryKiB: 8 } },
  healthPort: 7199,
  clientPort: 7100,
  ephemeral: true,
};

test("pod: what is mounted becomes a process's configuration", () => {
  const config = composeProcess(LOGIC, FACTS);
  expect(config).toMatchObject({
    name: "b/logic-7d9fbc-x2x7k",
    dc: 7,
    campus: "b",
    host: "0.0.0.0",
    logLevel: "info",
    doors: LOGIC.doors,
    ticketKeysDir: "/etc/tricampus/ticket-keys",
    limitsFile: "/etc/tricampus/limits/limits.json",
    limitsCopyFile: "/var/lib/tricampus/limits.json",
    blocksFile: "/var/lib/tricampus/blocks.json",
    healthPort: 7199,
    ephemeral: true,
    tls: {
      caFile: "/etc/tricampus/tls/ca.crt",
      certFile: "/etc/tricampus/tls/tls.crt",
      keyFile: "/etc/tricampus/tls/tls.key",
    },
    plaintext: false,
  });
  expect(composeProcess(LOGIC, { ...FACTS, tls: false })).not.toHaveProperty("tls");
  const options = Object.fromEntries(config.services.map((s) => [s.name, s.options]));
  expect(options).toEqual({
    access: { host: "0.0.0.0", port: 7100 },
    // The newest key signs.
    account: {
      keyId: "k2",
      privateKeyFile: "/etc/tricampus/ticket-signing/k2.pem",
      privateKeysDir: "/etc/tricampus/ticket-signing",
      apiKeysFile: "/etc/tricampus/api-keys/api-keys.json",
      passwordMemoryKiB: 8,
    },
    "queuelog-1": {},
    "queuelog-2": {},
  });
});

test("pod: what cannot be is refused with the name of the field", () => {
  expect(() => composeProcess({ ...LOGIC, dc: 256 }, FACTS)).toThrow(/process.json: dc: /);
  expect(() => composeProcess(LOGIC, { ...FACTS, campus: "x" })).toThrow(
    'TRICAMPUS_CAMPUS: "x" is no campus; there are a, b, c',
  );
  expect(() => composeProcess(LOGIC, { ...FACTS, signingKeys: [] })).toThrow(
    "ticket-signing: no private key is there",
  );
});
