import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { boundSockets } from "./http.ts";

test("access: with all sockets taken those that only wait for a next request make room", async () => {
  const server = createServer((_, response) => response.end("here"));
  let asked = 0;
  boundSockets(server, 3, () => {
    asked += 1;
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const open = () => {
    const socket = connect({ host: "127.0.0.1", port });
    socket.on("error", () => {});
    socket.write("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    return socket;
  };
  const idle = Array.from({ length: 3 }, open);
  await Promise.all(idle.map((socket) => once(socket, "data")));
  const closed = Promise.all(idle.map((socket) => once(socket, "close")));
  const refused = open();
  await Promise.all([closed, once(refused, "close")]);
  expect(asked).toBe(1);
  expect(String((await once(open(), "data"))[0])).toContain("here");
  server.closeAllConnections();
  server.close();
});
