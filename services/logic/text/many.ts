/** Several sends in one request: those to one recipient in their order, each with its own outcome. */
import type {
  SendManyReply,
  SendManyRequest,
  SendOutcome,
  SendReply,
  SendRequest,
} from "../../../protos/gen/tricampus/client/v1/text_codec.ts";
import { RpcError, requireArgument } from "../../svrkit/errors.ts";

const SENDS_MAX = 50;

export async function sendMany(
  { sends }: SendManyRequest,
  send: (request: SendRequest) => Promise<SendReply>,
): Promise<SendManyReply> {
  requireArgument(sends.length > 0 && sends.length <= SENDS_MAX, `1-${SENDS_MAX} sends in one`);
  const lastTo = new Map<string, Promise<SendOutcome>>();
  const outcomes = sends.map((request) => {
    const to = `${request.to?.case} ${request.to?.value}`;
    const before = lastTo.get(to) ?? Promise.resolve();
    const outcome = before.then(() => outcomeOf(send(request)));
    lastTo.set(to, outcome);
    return outcome;
  });
  return { outcomes: await Promise.all(outcomes) };
}

async function outcomeOf(sent: Promise<SendReply>): Promise<SendOutcome> {
  try {
    return { outcome: { case: "reply", value: await sent } };
  } catch (error) {
    const { code, message, retryable } = RpcError.from(error);
    return { outcome: { case: "failure", value: { code, message, retryable } } };
  }
}
