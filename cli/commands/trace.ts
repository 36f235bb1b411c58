/** `tricampus trace`: what processes remember of a message's way through the platform. */
import { Process, type SpansRequest } from "../../protos/gen/tricampus/svrkit/v1/process_codec.ts";
import type { CommandDefinition } from "../command.ts";
import { reach } from "../connect.ts";
import { EXIT, Failure } from "../failure.ts";
import { printJson } from "../output/json.ts";
import { formatTraces, type PlacedSpan } from "../output/trace.ts";
import type { Reach } from "../reach.ts";

const TRACE_ID = /^[0-9a-f]{32}$/;
const TRACES_MAX = 100;

export const traceCommand: CommandDefinition = {
  name: "trace",
  summary: "show how a message that was traced (send --trace) went through the platform",
  arguments: [["<id>", "of the message, or of the trace"]],
  run: async (call) => {
    const [id] = call.arguments;
    const reached = await reach(call);
    try {
      const traceIds = TRACE_ID.test(id!) ? [id!] : await tracesOf(reached, id!);
      const spans = traceIds.length === 0 ? [] : await ask(reached, { traceIds, messageIds: [] });
      if (spans.length === 0) {
        const why = "it was not traced (send --trace), or that is too long ago";
        throw new Failure(EXIT.failed, `no process remembers ${id}: ${why}`);
      }
      if (call.json) printJson({ spans });
      else console.log(formatTraces(spans));
      return EXIT.ok;
    } finally {
      reached.stop();
    }
  },
};

async function tracesOf(reached: Reach, messageId: string): Promise<string[]> {
  const spans = await ask(reached, { traceIds: [], messageIds: [messageId] });
  return [...new Set(spans.map(({ traceId }) => traceId))].slice(0, TRACES_MAX);
}

async function ask(reached: Reach, request: SpansRequest): Promise<PlacedSpan[]> {
  const names = new Set(reached.processes.map(({ name }) => name));
  const replies = await reached.ask(Process.spans, request, names);
  return [...replies].flatMap(([process, { spans }]) =>
    spans.map((span) => ({ ...span, process })),
  );
}
