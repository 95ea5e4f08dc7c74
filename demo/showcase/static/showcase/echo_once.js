import { log } from "./log.js";
import { Socket } from "./socket.js";

const message = document.querySelector("#message");
const socket = new Socket({ controls: [document.querySelector("#send")] });

socket.addEventListener("open", () => log("notice", "The view waits for its one message."));
socket.addEventListener("message", ({ detail }) => log("received", detail));
socket.addEventListener("close", ({ detail }) =>
  log("notice", `The view has returned: closed with code ${detail.code}.`),
);

document.querySelector("#form").addEventListener("submit", (event) => {
  event.preventDefault();
  log("sent", message.value);
  socket.send(message.value);
});
