import { log } from "./log.js";
import { Socket } from "./socket.js";

const message = document.querySelector("#message");
const path = document.querySelector("#state").dataset.path;
const socket = new Socket({ controls: [document.querySelector("#send")] });

socket.addEventListener("open", () => log("notice", "The socket is open."));
socket.addEventListener("message", ({ detail }) => log("received", detail));
socket.addEventListener("close", ({ detail }) => log("notice", `Closed with code ${detail.code}.`));

document.querySelector("#form").addEventListener("submit", (event) => {
  event.preventDefault();
  log("sent", message.value);
  socket.send(message.value);
});

document.querySelector("#get").addEventListener("click", async () => {
  const url = `${path}?${new URLSearchParams({ message: message.value })}`;
  log("sent", message.value, { name: "GET" });
  try {
    const response = await fetch(url);
    log(response.ok ? "received" : "error", await response.text(), { name: `${response.status}` });
  } catch (error) {
    log("error", error.message, { name: "GET" });
  }
});
