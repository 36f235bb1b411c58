import { expect, test } from "vitest";
import { MessageData } from "../../../protos/gen/tricampus/data/v1/message_codec.ts";
import { Keyspace } from "../../../protos/gen/tricampus/kv/v1/kv_codec.ts";
import { LEAST } from "../../svrkit/admission/priority.ts";
import { Client } from "../../svrkit/client.ts";
import { silentLogger } from "../../svrkit/log.ts";
import { Server } from "../../svrkit/server.ts";
import { passOver } from "./pass.ts";

test("retention: a pass goes behind everybody's requests", async () => {
  const local = new Server({ process: "a/data", campus: "a" }, silentLogger());
  const priorities: number[] = [];
  local.add(MessageData.retain, (_, { priority }) => {
    priorities.push(priority);
    return { forgottenVersion: 0 };
  });
  const client = new Client({ process: "a/logic", campus: "a" });
  const here = [{ campus: "a", host: "127.0.0.1", port: 1 }];
  const data = client.callee("message-data", here, { caller: "retention", local });
  async function* tables() {
    yield { keyspace: Keyspace.MESSAGE, key: Buffer.from("01au1-1|01bu1-1") };
  }
  await passOver(tables(), {
    ...{ accounts: data, inboxes: data, messages: data, groups: data, media: data, moments: data },
    rules: { forget: "by-age", ...{ keepMs: 1, silentMs: 1, idsMs: 1, mediaMs: 1, timelineMs: 1 } },
    ...{ restMs: 0, stopped: new AbortController().signal, now: () => 0 },
  });
  client.stop();
  expect(priorities).toEqual([LEAST]);
});
