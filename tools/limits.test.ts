/** docs/limits.md says what the code holds: who changes one of these has to change the other. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";

const page = readFileSync("docs/limits.md", "utf8");

test.each([
  ["| 1 MiB | TOO_LARGE", "services/access/limits.ts", "FRAME_BYTES_MAX = 1024 * 1024;"],
  ["open on one connection | 256 |", "services/access/limits.ts", "REQUESTS_IN_FLIGHT_MAX = 256;"],
  ["one user at a campus | 32 |", "services/access/limits.ts", "USER_CONNECTIONS_MAX = 32;"],
  ["text of a message | 64 KiB", "services/logic/text/accept.ts", "TEXT_BYTES_MAX = 64 * 1024;"],
  ["voice | 60 s, 128 KiB", "services/logic/text/content.ts", "VOICE_BYTES_MAX = 128 * 1024;"],
  ["voice | 60 s, 128 KiB", "services/logic/text/content.ts", "VOICE_MS_MAX = 60_000;"],
  ["custom content | 32 KiB", "services/logic/text/content.ts", "CUSTOM_BYTES_MAX = 32 * 1024;"],
  ["users mentioned | 50 |", "services/logic/text/content.ts", "MENTIONS_MAX = 50;"],
  ["place | 200;", "services/logic/text/content.ts", "QUOTE_CHARACTERS_MAX = 200;"],
  ["in one SendMany | 50 |", "services/logic/text/many.ts", "_MAX = 50;"],
  [
    "not numbered | 1,000 |",
    "services/logic/text/config.ts",
    "groupBacklogMax: z.int().min(1).max(1_000_000).default(1_000)",
  ],
  ["; 50, and about 512 KiB", "services/logic/text/bodies.ts", "BODIES_MAX = 50;"],
  [
    "history; bodies in one Text/Bodies | 200,",
    "services/logic/conversation/history.ts",
    "HISTORY_MAX = 200;",
  ],
  [
    "settings set at once; draft | 100; 4,000",
    "services/logic/conversation/handlers.ts",
    "SETTINGS_MAX = 100;",
  ],
  ["one group | 50; with 40", "services/logic/group/invitations.ts", "INVITED_AT_ONCE_MAX = 50;"],
  [
    "with 40 members and more; 7 days; 500 |",
    "services/logic/fanout/config.ts",
    "invitesMax: z.int().min(1).max(1_000).default(500)",
  ],
  [
    "remembers | 30 days;",
    "services/logic/group/handlers.ts",
    "MUTE_MS_MAX = 30 * 24 * 3_600_000;",
  ],
  ["the last 500 |", "services/logic/fanout/plan/group-state.ts", "LEFT_KEPT_MAX = 500;"],
  [
    "announcement; nickname | 128; 500; 4,000; 64",
    "services/logic/group/handlers.ts",
    "ANNOUNCEMENT_CHARACTERS_MAX = 4_000;",
  ],
  ["a page of a sync | 1,000 messages", "services/logic/sync/handlers.ts", "LIMIT_MAX = 1_000;"],
  [
    "512 KiB of UTF-8; contacts 256 KiB",
    "services/data/contact/handlers.ts",
    "PAGE_BYTES_MAX = 256 * 1024;",
  ],
  ["| 5,000; 1,000; 100; 20 |", "services/data/contact/config.ts", ".default(5_000)"],
  [
    "one request | 64; 200 characters; 100 |",
    "services/logic/account/profile.ts",
    "PROFILES_MAX = 100;",
  ],
  [
    "ImportUsers; a page of the audit log | 100; 500",
    "services/logic/account/admin.ts",
    "AUDIT_LIMIT_MAX = 500;",
  ],
  ["its images | 2,000 characters; 9 |", "services/logic/moments/handlers.ts", "IMAGES_MAX = 9;"],
  [
    "comments to a moment | 500 characters; 1,000",
    "services/data/moments/handlers.ts",
    "COMMENTS_MAX = 1_000;",
  ],
  ["a medium is shown | 1,000 |", "services/data/media/handlers.ts", "GRANTS_MAX = 1_000;"],
])("limits: %s is what %s holds", (line, file, code) => {
  expect(page).toContain(line);
  expect(readFileSync(file, "utf8")).toContain(code);
});
