import { clear, log } from "./log.js";
import { Socket } from "./socket.js";

const message = document.querySelector("#message");
const socket = new Socket({ reconnect: true, controls: [document.querySelector("#send")] });
let me = "";

function said({ name, text, time }) {
  log(name === me ? "sent" : "received", text, { name, time: new Date(time) });
}

function show(members) {
  document.querySelector("#members").replaceChildren(
    ...members.map((name) => {
      const item = document.createElement("li");
      item.dataset.name = item.textContent = name;
      item.classList.toggle("me", name === me);
      return item;
    }),
  );
}

// One function for each "type" that the server sends.
const on = {
  welcome({ name, members, history }) {
    me = name;
    document.querySelector("#name").textContent = name;
    show(members);
    clear(); // after a lost connection the history holds what is here already
    history.forEach(said);
    log("notice", `You are in, as ${name}.`);
  },
  message: said,
  join({ name, members }) {
    show(members);
    log("notice", `${name} has joined.`);
  },
  leave({ name, members }) {
    show(members);
    log("notice", `${name} has left.`);
  },
  error({ text }) {
    log("error", text);
  },
};

socket.addEventListener("message", ({ detail }) => {
  const event = JSON.parse(detail);
  on[event.type]?.(event);
});
socket.addEventListener("close", () => show([]));

document.querySelector("#form").addEventListener("submit", (event) => {
  event.preventDefault();
  socket.sendJSON({ text: message.value });
  message.value = "";
});
