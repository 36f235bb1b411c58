import { type Callee, Client } from "./client.ts";
import { type Caller, describeTransport } from "./conformance.suite.ts";
import { RpcError } from "./errors.ts";
import { memoryWirePair } from "./transport/memory.ts";

function callerOf(client: Client, callee: Callee) {
  return {
    // Once, as gRPC asks: what is worth another try is the caller's affair.
    call: callee.callOne.bind(callee, 0) as Caller["call"],
    callBytes: async (method: { hash: number }, body: Uint8Array) =>
      callee.callBytes(method.hash, body),
    close: () => client.stop(),
  };
}

describeTransport({
  name: "svrkit",
  longestCaller: 65_500,
  async connect(server, caller) {
    const port = await server.listen({ host: "127.0.0.1", port: 0 });
    const client = new Client({ process: "test", campus: "a" });
    const addresses = [{ campus: "a", host: "127.0.0.1", port }];
    return callerOf(client, client.callee("echo", addresses, { caller }));
  },
});

describeTransport({
  name: "memory",
  longestCaller: 65_500,
  async connect(server, caller) {
    const client = new Client({ process: "test", campus: "a" });
    let isStopped = false;
    const dial = async () => {
      if (isStopped) throw new RpcError("UNAVAILABLE", "it is stopped");
      const [near, far] = memoryWirePair();
      server.accept(far);
      return near;
    };
    const addresses = [{ campus: "a", label: "echo", dial }];
    const inner = callerOf(client, client.calleeFrom("echo", addresses, { caller }));
    return {
      ...inner,
      close() {
        isStopped = true;
        inner.close();
      },
    };
  },
});
