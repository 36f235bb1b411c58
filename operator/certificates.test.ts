/** Certificates by the clock: they are renewed whatever else is not done meanwhile, and pods stay. */
import { X509Certificate } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Operator } from "./operator.ts";
import { Rig } from "./testing/rig.ts";
import { sampleCampus, sampleDataCenter, ZONES } from "./testing/samples.ts";

const DAY_MS = 24 * 3_600_000;

let rig: Rig;
let operator: Operator;
let laterMs: number;
beforeEach(async () => {
  laterMs = 0;
  rig = await Rig.open();
  operator = await rig.startOperator({ now: () => Date.now() + laterMs });
  rig.install();
  await rig.settled();
});
afterEach(() => rig.close());

const passing = (ms: number) => {
  laterMs += ms;
  operator.lookAtAll();
};
type Texts = Record<string, string>;
const texts = () => ({ ...(rig.get("Secret", "main-tls")!.data as Texts) });
const uids = () => rig.pods().map(({ metadata }) => metadata.uid);
const said = (type: string) => rig.condition("DataCenter", "main", type);

const oneZone = Object.keys(ZONES).map((name) => ({ name, zone: "the same" }));

const FROZEN: [why: string, freeze: () => void, isFrozen: () => boolean][] = [
  [
    "the data centre is paused",
    () => rig.write("DataCenter", "main", sampleDataCenter({ paused: true })),
    () => said("Progressing") === "False Paused",
  ],
  [
    "paused with a layout that pods do not have",
    () => rig.write("DataCenter", "main", sampleDataCenter({ paused: true, layout: "Split" })),
    () => said("Progressing") === "False Paused",
  ],
  [
    "there is a problem",
    () => rig.remove("KVGroup", "main-1"),
    () => said("Ready") === "False GroupMissing",
  ],
  [
    "the plan is refused",
    () => {
      for (const name of ["a", "b", "c"] as const)
        rig.write("Campus", name, { ...sampleCampus(name), zone: "the same" });
      rig.write("DataCenter", "main", sampleDataCenter({ campuses: oneZone }));
    },
    () => said("Progressing") === "False PlanRefused",
  ],
];

test.each(FROZEN)("certificates are renewed before their end while %s", async (_, freeze, isIt) => {
  freeze();
  await rig.until("nothing is changed", isIt);
  await rig.quiet();
  const [before, pods] = [texts(), uids()];
  const names = Object.keys(before).filter((name) => name.endsWith(".crt") && name !== "ca.crt");
  passing(55 * DAY_MS);
  await rig.quiet();
  expect(texts()).toEqual(before);
  passing(6 * DAY_MS);
  await rig.until("all are renewed", () => names.every((name) => texts()[name] !== before[name]));
  await rig.quiet();
  expect(texts()["ca.crt"]).toBe(before["ca.crt"]);
  expect(uids()).toEqual(pods);
  expect(isIt()).toBe(true);
});

test("certificates that cannot be renewed are said to age, long before their end", async () => {
  expect(said("CertificatesFresh")).toBe("True CertificatesRenewed");
  const refused = { fault: "status", code: 403 } as const;
  rig.double.faultOf = ({ resource, method }) =>
    resource === "/api/v1 secrets" && method === "PATCH" ? refused : undefined;
  passing(61 * DAY_MS);
  await rig.until("refused", () => said("Progressing") === "True ObjectRefused");
  expect(said("CertificatesFresh")).toBe("True CertificatesRenewed");
  passing(9 * DAY_MS);
  await rig.until("ageing", () => said("CertificatesFresh") === "False CertificatesAgeing");
});

/** Every certificate shown is of an authority that is trusted now. */
function expectBelieved(shown: Texts): void {
  const trusted = authorities(pem(texts()["ca.crt"]!));
  for (const name of Object.keys(shown).filter((one) => /(?<!^ca)\.crt$/.test(one))) {
    const certificate = new X509Certificate(pem(shown[name]!));
    const isOf = (one: X509Certificate) =>
      certificate.checkIssued(one) && certificate.verify(one.publicKey);
    expect(trusted.some(isOf), name).toBe(true);
  }
}

const pem = (encoded: string) => Buffer.from(encoded, "base64").toString();
const authorities = (text: string) =>
  text.split(/(?<=END CERTIFICATE-----\n)/).map((one) => new X509Certificate(one));
const authoritiesTold = () => authorities(pem(texts()["ca.crt"]!)).map(({ subject }) => subject);

function loseCertificate(name: string): void {
  const place = { resource: "/api/v1 secrets", namespace: "test" };
  rig.double.objects.update(place, "main-tls", (secret) => {
    const { [`${name}.crt`]: _, [`${name}.key`]: __, ...rest } = secret.data as object as Texts;
    secret.data = rest;
  });
}

test("an authority that is lost: everybody hears of the next one before it issues, and trusts both", async () => {
  const MINUTES_MS = 60_000;
  const [before, pods] = [texts(), uids()];
  const [lost] = authoritiesTold();
  rig.remove("Secret", "main-authority");
  loseCertificate("access");
  passing(6 * MINUTES_MS);
  await rig.until("there are two", () => authoritiesTold().length === 2);
  expect(authoritiesTold()[1]).toBe(lost);
  passing(9 * MINUTES_MS);
  await rig.quiet(200);
  const { "access.crt": _, "access.key": __, "ca.crt": ___, ...others } = before;
  const { "ca.crt": ____, "authority-since": _____, ...told } = texts();
  expect(told).toEqual(others);

  passing(2 * MINUTES_MS);
  await rig.until("it issues", () => texts()["access.crt"] !== undefined);
  await rig.quiet();
  expectBelieved(texts());
  expectBelieved(before); // what pods show that have not taken theirs yet

  // When nothing is of the lost one any more, it goes.
  passing(61 * DAY_MS);
  await rig.until("there is one", () => {
    passing(0); // issued over and over, by that clock: after pauses
    return authoritiesTold().length === 1;
  });
  expect(authoritiesTold()).not.toContain(lost);
  expectBelieved(texts());
  expect(uids()).toEqual(pods);
});

test("certificates that no trusted authority has issued are issued anew", async () => {
  const before = texts();
  rig.remove("Secret", "main-authority");
  const place = { resource: "/api/v1 secrets", namespace: "test" };
  rig.double.objects.update(place, "main-tls", (secret) => {
    const { "ca.crt": _, ...rest } = secret.data as object as Texts;
    secret.data = rest;
  });
  passing(6 * 60_000);
  await rig.until("issued", () => texts()["logic.crt"] !== before["logic.crt"]);
  await rig.quiet();
  expectBelieved(texts());
});

test("an authority is heard of for its time also when the answer to its announcement was lost", async () => {
  rig.remove("Secret", "main-authority");
  loseCertificate("access");
  let announced = 0;
  rig.double.faultOf = ({ method, name }) =>
    method === "PATCH" && name === "main-tls" && announced++ === 0
      ? { fault: "reset", carriedOut: true }
      : undefined;
  passing(6 * 60_000);
  await rig.until("there are two", () => authoritiesTold().length === 2);
  await rig.quiet(400);
  expect(announced).toBe(1);
  expect(texts()["access.crt"]).toBeUndefined();
  passing(11 * 60_000);
  await rig.until("it issues", () => texts()["access.crt"] !== undefined);
});
