import { log } from "./log.js";
import { Socket } from "./socket.js";

const message = document.querySelector("#message");
const socket = new Socket({ controls: [document.querySelector("#send")] });

socket.addEventListener("open", () => log("notice", "The socket is open."));
socket.addEventListener("message", ({ detail }) => log("received", detail));
socket.addEventListener("close", ({ detail }) => log("notice", `Closed with code ${detail.code}.`));

document.querySelector("#form").addEventListener("submit", (event) => {
  event.preventDefault();
  log("sent", message.value);
  socket.send(message.value);
  message.select();
});
