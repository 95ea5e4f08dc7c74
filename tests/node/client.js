// WebSockets by Node's ws, one after the other, at the command of the tests.
//
// Takes commands on stdin and reports events on stdout, each one JSON object on a line.
// Payloads are in base64. The end of stdin ends it all.
"use strict";

const readline = require("node:readline");
const WebSocket = require("ws");

const report = (event) => process.stdout.write(`${JSON.stringify(event)}\n`);
let socket = null;

const commands = {
  open({ url, subprotocols, compression }) {
    socket = new WebSocket(url, subprotocols, { perMessageDeflate: compression });
    socket.on("open", () => {
      report({ event: "open", subprotocol: socket.protocol, extensions: socket.extensions });
    });
    socket.on("unexpected-response", async (request, response) => {
      const body = Buffer.concat(await response.toArray());
      report({ event: "refused", status: response.statusCode, body: body.toString() });
    });
    socket.on("message", (data, binary) => {
      report({ event: "message", data: data.toString("base64"), binary });
    });
    socket.on("pong", (data) => report({ event: "pong", data: data.toString("base64") }));
    socket.on("close", (code, reason) => {
      report({ event: "close", code, reason: reason.toString() });
    });
    socket.on("error", (error) => report({ event: "error", text: error.message }));
  },
  send: ({ data, binary, fin }) => socket.send(Buffer.from(data, "base64"), { binary, fin }),
  ping: ({ data }) => socket.ping(Buffer.from(data, "base64")),
  close: ({ code, reason }) => socket.close(code, reason),
  leave() {
    socket.removeAllListeners();
    socket.on("error", () => {}); // nobody listens any more
    socket.terminate();
    report({ event: "left" });
  },
};

readline
  .createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    commands[command.do](command);
  })
  .on("close", () => process.exit());
