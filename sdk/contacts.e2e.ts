/** Contacts: requests, answers, remarks, tags, blocks and policies, over campuses and devices. */
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ContactRequestState } from "../protos/gen/tricampus/client/v1/contact_codec.ts";
import { InviteOutcomeKind } from "../protos/gen/tricampus/client/v1/group_codec.ts";
import { ContactData } from "../protos/gen/tricampus/data/v1/contact_codec.ts";
import {
  startWholePlatform,
  type WholePlatform,
} from "../services/platform/testing/whole-platform.ts";
import { People, type Person } from "./testing/people.ts";

let platform: WholePlatform;
let people: People;

beforeAll(async () => {
  platform = await startWholePlatform();
  people = new People(platform.endpoints);
});
beforeEach(() => people.nextScene());
afterAll(async () => {
  await people.close();
  await platform.stop();
});

const known = ({ client }: Person) => client.contacts.known;
const contactsOf = (person: Person) => [...known(person).contacts.keys()];
const denied = { code: "PERMISSION_DENIED" };

async function pair(): Promise<[Person, Person]> {
  return Promise.all([people.online("ann"), people.offline("bob", { campus: "b" })]);
}

test("asked, accepted, and contacts on all devices of both", async () => {
  const [ann, bob] = await pair();
  const desk = await people.online("ann", { campus: "c", device: "desk" });
  expect(await ann.client.contacts.ask(bob.id, "It's Ann")).toBe(false);
  await bob.client.connect();
  await expect.poll(() => known(bob).incoming.get(ann.id)?.text).toBe("It's Ann");
  await bob.client.contacts.accept(ann.id);
  await bob.client.contacts.accept(ann.id); // as if its answer had been lost
  for (const one of [ann, desk]) await expect.poll(() => contactsOf(one)).toEqual([bob.id]);
  await expect.poll(() => contactsOf(bob)).toEqual([ann.id]);
  expect(known(desk).outgoing.get(bob.id)?.state).toBe(ContactRequestState.ACCEPTED);
  expect(await ann.client.contacts.ask(bob.id)).toBe(true);
  await ann.client.contacts.remove(bob.id);
  await expect.poll(() => contactsOf(desk)).toEqual([]);
  expect(contactsOf(bob)).toEqual([ann.id]);
});

test("two who ask one another are contacts at once; a refusal is told", async () => {
  const [ann, bob] = await pair();
  await bob.client.connect();
  await ann.client.contacts.ask(bob.id);
  expect(await bob.client.contacts.ask(ann.id)).toBe(true);
  await expect.poll(() => contactsOf(ann)).toEqual([bob.id]);
  const cid = await people.online("cid", { campus: "c" });
  await cid.client.contacts.ask(ann.id);
  await ann.client.contacts.decline(cid.id);
  await expect
    .poll(() => known(cid).outgoing.get(ann.id)?.state)
    .toBe(ContactRequestState.DECLINED);
  const late = ann.client.contacts.accept(cid.id);
  await expect(late).rejects.toMatchObject({ code: "FAILED_PRECONDITION" });
  const never = ann.client.contacts.accept("07au1-zz");
  await expect(never).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("M4: nobody becomes a contact of who did not ask", async () => {
  const [ann, bob] = await pair();
  const call = { ticket: Buffer.from(ticketOf(bob)) };
  const contacts = platform.callee("contact-data", "contact");
  const request = { userId: ann.id, accept: true, atMs: 1 };
  const { outcome } = await contacts.call(ContactData.deliverAnswer, request, call);
  expect(outcome).toBe(4); // there is no request
  await ann.client.sync();
  expect(contactsOf(ann)).toEqual([]);
});

const ticketOf = ({ id }: Person) =>
  platform.signer.sign({
    ...{ userId: id, device: "phone", issuedAtMs: Date.now(), expiresAtMs: Date.now() + 60_000 },
  });

test("remarks and tags are the user's own, on all of its devices", async () => {
  const [ann, bob] = await pair();
  const desk = await people.online("ann", { campus: "c", device: "desk" });
  await ann.client.contacts.ask(bob.id);
  await bob.client.contacts.accept(ann.id);
  await ann.client.contacts.setTag({ tagId: "t1", name: "crew" });
  await ann.client.contacts.setTags(bob.id, ["t1"]);
  await ann.client.contacts.setRemark(bob.id, "Bob the cook");
  const entry = () => known(desk).contacts.get(bob.id);
  await expect.poll(entry).toMatchObject({ remark: "Bob the cook", tagIds: ["t1"] });
  const unknown = ann.client.contacts.setTags(bob.id, ["t9"]);
  await expect(unknown).rejects.toMatchObject({ code: "INVALID_ARGUMENT" });
  await ann.client.contacts.deleteTag("t1");
  await expect.poll(() => known(desk).tags.size).toBe(0);
  const stranger = ann.client.contacts.setRemark("07au1-zz", "who?");
  await expect(stranger).rejects.toMatchObject({ code: "NOT_FOUND" });
});

test("from who is blocked nothing comes, at once, in any campus", async () => {
  const [ann, bob] = await pair();
  await bob.client.connect();
  await ann.client.send({ userId: bob.id }, "before", "k1");
  await bob.client.contacts.block(ann.id);
  for (const campus of ["a", "b", "c"]) {
    const device = await people.online("ann", { campus, device: campus });
    await expect(device.client.send({ userId: bob.id }, "hello?")).rejects.toMatchObject(denied);
  }
  expect(await ann.client.send({ userId: bob.id }, "before", "k1")).toMatchObject({ sequence: 1 });
  expect(await ann.client.contacts.ask(bob.id)).toBe(false);
  const group = await ann.client.groups.create("Trap", []);
  const [outcome] = await ann.client.groups.invite(group, [bob.id]);
  expect(outcome?.kind).toBe(InviteOutcomeKind.REFUSED);
  await expect(ann.client.groups.create("Trap", [bob.id])).rejects.toMatchObject(denied);
  await bob.client.sync();
  expect(known(bob).incoming.size).toBe(0);
  expect(bob.heard.map((message) => message.text)).toEqual(["before"]);
  await bob.client.contacts.block(ann.id, false);
  await ann.client.send({ userId: bob.id }, "after");
  await expect.poll(() => bob.heard.at(-1)?.text).toBe("after");
});

test("who takes messages and invitations of contacts only", async () => {
  const [ann, bob] = await pair();
  await bob.client.contacts.setPolicy({ refusesStrangers: true, refusesGroupsOfStrangers: true });
  await expect(ann.client.send({ userId: bob.id }, "hi")).rejects.toMatchObject(denied);
  await expect(ann.client.groups.create("Us", [bob.id])).rejects.toMatchObject(denied);
  await ann.client.contacts.ask(bob.id);
  await bob.client.contacts.accept(ann.id);
  await ann.client.send({ userId: bob.id }, "hi");
  await ann.client.groups.create("Us", [bob.id]);
  await bob.client.contacts.setPolicy({ refusesRequests: true });
  const cid = await people.online("cid", { campus: "c" });
  expect(await cid.client.contacts.ask(bob.id)).toBe(false);
  await bob.client.sync();
  expect(known(bob).incoming.has(cid.id)).toBe(false);
});

test("a request whose process died on the way is carried on by a sync of who asked", async () => {
  const [ann, bob] = await pair();
  const request = { userId: bob.id, incoming: false, text: "hi", state: 1, atMs: Date.now() };
  const changes = [{ change: { case: "request" as const, value: request } }];
  const call = { ticket: Buffer.from(ticketOf(ann)) };
  // What a contact service leaves that dies after the commit.
  await platform
    .callee("contact-data", "contact")
    .call(ContactData.change, { changes, open: true }, call);
  await ann.client.sync();
  await bob.client.connect();
  await expect.poll(() => known(bob).incoming.get(ann.id)?.text).toBe("hi");
});
