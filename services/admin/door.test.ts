/** The admin door between a real client and a real server, with certificates of an authority made for it. */
import { once } from "node:events";
import type { Socket } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AdminDoors } from "../../cli/cluster/admin-doors.ts";
import { Process, type StatusReply } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import { allowedCallers } from "../platform/allowed-callers.ts";
import { type CertificateTexts, issueCertificate, newAuthority } from "../platform/certificates.ts";
import { Client } from "../svrkit/client.ts";
import { silentLogger } from "../svrkit/log.ts";
import { Server } from "../svrkit/server.ts";
import { Credentials } from "../svrkit/tls/credentials.ts";
import { dialSocket } from "../svrkit/transport/tcp.ts";
import { AdminDoor } from "./door.ts";

const log = silentLogger();
const host = "127.0.0.1";
let authority: CertificateTexts;
let store: Server;
let door: AdminDoor;
let doorAddress: string;

const tlsOf = async (...services: string[]) => {
  const issued = await issueCertificate(authority, { name: "test", services, days: 1 });
  return { ca: authority.cert, ...issued };
};
const statusReply = { process: "b/kvsvr-1", campus: "b" } as StatusReply;

beforeAll(async () => {
  authority = await newAuthority();
  const kvsvr = new Credentials(await tlsOf("kvsvr", "control"));
  store = new Server({ process: "b/kvsvr-1", campus: "b" }, log, {
    security: { credentials: kvsvr },
    allowed: allowedCallers,
  });
  store.add(Process.status, () => ({ ...EMPTY_STATUS, ...statusReply }));
  const port = await store.listen({ host, port: 0 });
  const places: Record<string, { campus: string; host: string; port: number }[]> = {
    kvsvr: [{ campus: "b", host, port }],
  };
  door = new AdminDoor({
    addressesOf: (service) => places[service] ?? [],
    describe: () => ({ dc: 1, campuses: ["a", "b", "c"], doors: [["kvsvr"]] }),
    security: { credentials: new Credentials(await tlsOf("admin", "cli", "control")) },
    connectionsMax: 20,
    log,
  });
  doorAddress = `${host}:${await door.listen({ host, port: 0 })}`;
});

afterAll(async () => {
  door.close();
  await store.stop();
});

const EMPTY_STATUS: StatusReply = {
  process: "",
  campus: "",
  pid: 0,
  uptimeMs: 0,
  services: [],
  trouble: "",
  nowMs: 0,
  monitors: [],
  unready: "",
  methods: [],
};

const doorsWith = async (addresses: readonly string[], ...services: string[]) =>
  new AdminDoors({
    admin: addresses.map((address, i) => ({ campus: "abc"[i]!, address })),
    tls: await tlsOf(...services),
  });

const askStatus = async (doors: AdminDoors, service: string, campus: string) => {
  const client = new Client({ process: "cli", campus: "" });
  const dial = () => doors.dial(service, campus);
  const addresses = [{ campus, label: service, dial }];
  const callee = client.calleeFrom(service, addresses, { caller: "cli" });
  try {
    return await callee.call(Process.status, {}, { timeoutMs: 2_000 });
  } finally {
    client.stop();
  }
};

test("admin door: people reach any process of any campus through it", async () => {
  const doors = await doorsWith([doorAddress], "cli");
  expect(await doors.describe(1_000)).toEqual({
    dc: 1,
    campuses: ["a", "b", "c"],
    doors: [["kvsvr"]],
  });
  expect(await askStatus(doors, "kvsvr", "b")).toMatchObject(statusReply);
});

test("admin door: a campus that is gone costs a moment, whichever door is named first", async () => {
  const doors = await doorsWith(["127.0.0.1:1", doorAddress], "cli");
  expect((await askStatus(doors, "kvsvr", "b")).process).toBe("b/kvsvr-1");
});

test("admin door: only who proves to be one of its people comes in", async () => {
  const doors = await doorsWith([doorAddress], "text");
  await expect(doors.describe(1_000)).rejects.toThrow('the certificate is not one for "cli"');
  const others = await newAuthority();
  const stranger = await issueCertificate(others, { name: "x", services: ["cli"], days: 1 });
  const strange = new AdminDoors({
    admin: [{ campus: "a", address: doorAddress }],
    tls: { ca: authority.cert, ...stranger },
  });
  await expect(strange.describe(1_000)).rejects.toThrow();
});

test("admin door: what is not there, or no line at all, is answered in words", async () => {
  const doors = await doorsWith([doorAddress], "cli");
  await expect(doors.dial("kvsvr", "z")).rejects.toThrow('there is no campus "z"');
  const credentials = new Credentials(await tlsOf("cli"));
  const [, port] = doorAddress.split(":");
  const answerTo = async (text: string) => {
    const socket: Socket = await dialSocket({ host, port: Number(port) }, 1_000, { credentials });
    socket.write(text);
    const [chunk] = (await once(socket, "data")) as [Buffer];
    socket.destroy();
    return JSON.parse(chunk.toString()) as { ok: boolean; message: string };
  };
  expect(await answerTo("GET / HTTP/1.1\n")).toEqual({
    ok: false,
    message: "the first line names no service and campus",
  });
  expect((await answerTo("x".repeat(2_000))).message).toBe("the first line is too long");
});
