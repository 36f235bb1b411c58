/** What lies in a data folder is moved aside before somebody begins anew in it; nothing is removed. */
import { mkdir, open, readdir, rename } from "node:fs/promises";
import { join } from "node:path";

/** Folders of what was set aside, numbered. */
const ASIDE = "set-aside-";

/** Moves everything but the file `keep` into a new folder below; durable when it resolves. */
export async function setAside(dir: string, keep: string): Promise<void> {
  await mkdir(dir, { recursive: true });
  const names = await readdir(dir);
  const before = names.filter((name) => name.startsWith(ASIDE));
  const aside = join(dir, `${ASIDE}${before.length + 1}`);
  const moved = names.filter((name) => name !== keep && !before.includes(name));
  if (moved.length === 0) return;
  await mkdir(aside);
  for (const name of moved) await rename(join(dir, name), join(aside, name));
  await syncDir(dir);
}

/** Makes creations, renames and removals in the directory durable. */
export async function syncDir(dir: string): Promise<void> {
  const handle = await open(dir, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
