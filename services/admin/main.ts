/** The admin door: wiring and start. */
import type { Places, StartService } from "../svrkit/context.ts";
import { checkAdminConfig } from "./config.ts";
import { AdminDoor } from "./door.ts";

export const start: StartService = async (context) => {
  const { host, port, connectionsMax } = checkAdminConfig(context.options);
  const { places, dc, campuses, log } = context;
  if (places === undefined) throw new Error("this process knows no places to lead people to");
  const door = new AdminDoor({
    addressesOf: (service) => places.addressesOf(service),
    describe: () => ({ dc, campuses: [...campuses], doors: doorsOf(places) }),
    security: places.security,
    connectionsMax,
    log,
  });
  await door.listen({ host, port });
  context.lifecycle.onStop("admin door", () => door.close());
};

/** Services that can be reached now, those of one process together. */
function doorsOf(places: Places): string[][] {
  const doors = new Map<string, string[]>();
  for (const service of places.services) {
    const [first] = places.addressesOf(service);
    if (first === undefined || !isKnown(first)) continue;
    const door = first.label ?? `${first.host}:${first.port}`;
    doors.set(door, [...(doors.get(door) ?? []), service]);
  }
  return [...doors.values()];
}

function isKnown(address: { readonly host: string }): boolean {
  try {
    return address.host !== "";
  } catch {
    return false;
  }
}
