/** How many contacts a user may have, whichever side asks. */
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Contact,
  makeSetContactRequest,
} from "../../protos/gen/tricampus/client/v1/contact_codec.ts";
import { type Campuses, startCampuses } from "./testing/campuses.ts";

let campuses: Campuses;

beforeAll(async () => {
  campuses = await startCampuses({ "contact-data": { contactsMax: 2 } });
});
afterAll(async () => {
  await campuses.close();
});

const contact = () => campuses.callee("contact", "access");
const ask = (from: string, userId: string) =>
  contact().call(Contact.ask, { userId, text: "" }, campuses.ticket(from));
const accept = (by: string, userId: string) =>
  contact().call(Contact.answer, { userId, accept: true }, campuses.ticket(by));

test("contacts: a limit holds for who asks, and what is there can be changed at the limit", async () => {
  const [ann, bob, cid, dan] = ["07ac-ann", "07ac-bob", "07ac-cid", "07ac-dan"] as const;
  const full = { code: "RESOURCE_EXHAUSTED" };
  await ask(ann, bob);
  await ask(ann, cid);
  await expect(ask(ann, dan)).rejects.toMatchObject(full);
  await ask(ann, bob); // once more is no more
  await accept(bob, ann);
  await accept(cid, ann);
  const remark = makeSetContactRequest({ userId: bob, remark: "Bob" });
  await contact().call(Contact.set, remark, campuses.ticket(ann));
  await ask(dan, ann);
  await expect(accept(ann, dan)).rejects.toMatchObject(full);
  await contact().call(Contact.remove, { userId: cid }, campuses.ticket(ann));
  await accept(ann, dan);
});
