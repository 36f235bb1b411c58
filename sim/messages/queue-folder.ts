/** The folder of a queue's log on a simulated disk: the same page cache as the store's, byte-exact. */
import { join } from "node:path";
import type { Files } from "../../services/kvsvr/storage/files.ts";
import type { SegmentFile, SegmentFolder } from "../../services/queuelog/storage/files.ts";

const DIR = "queuelog";

/** `files`: of a disk that holds nothing else. */
export function folderOn(files: Files): SegmentFolder {
  return {
    list: async () => (await files.list(DIR)).sort(),
    async open(name, access): Promise<SegmentFile> {
      const file = await files.open(join(DIR, name));
      if (access === "create") await file.truncate(0);
      return {
        size: () => file.size(),
        read: async (position, length) => {
          const size = await file.size();
          const bytes = Buffer.alloc(Math.max(0, Math.min(length, size - position)));
          await file.read(bytes, position);
          return bytes;
        },
        write: async (bytes, position) => file.write(bytes, position),
        datasync: () => file.sync(),
        truncate: (size) => file.truncate(size),
        close: () => file.close(),
      };
    },
    remove: (name) => files.remove(join(DIR, name)),
    sync: () => files.syncDir(DIR),
  };
}
