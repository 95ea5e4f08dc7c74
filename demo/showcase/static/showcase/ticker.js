import { log } from "./log.js";
import { Socket } from "./socket.js";

const POINTS = 60;
const [time, number, ticks, pause, interval, shown] = [
  "#time", "#number", "#ticks", "#pause", "#interval", "#interval-value",
].map((id) => document.querySelector(id));
const line = document.querySelector("#chart polyline");
const numbers = [];

const socket = new Socket({ reconnect: true, controls: [pause, interval] });

function draw() {
  const low = Math.min(...numbers);
  const span = Math.max(...numbers) - low || 1;
  const point = (value, index) => {
    const x = 300 * ((index + POINTS - numbers.length) / (POINTS - 1));
    return `${x.toFixed(1)},${(74 - (68 * (value - low)) / span).toFixed(1)}`;
  };
  line.setAttribute("points", numbers.map(point).join(" "));
}

// One function for each "type" that the server sends.
const on = {
  tick(event) {
    time.textContent = new Date(event.time).toISOString().slice(11, 21);
    number.textContent = event.number.toFixed(2);
    ticks.textContent = Number(ticks.textContent) + 1;
    numbers.push(event.number);
    if (numbers.length > POINTS) numbers.shift();
    draw();
  },
  state(event) {
    pause.setAttribute("aria-pressed", event.paused);
    pause.textContent = event.paused ? "Resume" : "Pause";
    interval.value = shown.textContent = event.interval;
    log("notice", event.paused ? "Paused." : `Every ${event.interval} s.`);
  },
  error({ text }) {
    log("error", text);
  },
};

socket.addEventListener("open", () => {
  // Each socket has a ticker of its own, which starts afresh.
  numbers.length = 0;
  pause.setAttribute("aria-pressed", "false");
  pause.textContent = "Pause";
  interval.value = shown.textContent = 1;
});
socket.addEventListener("message", ({ detail }) => {
  const event = JSON.parse(detail);
  on[event.type]?.(event);
});

pause.addEventListener("click", () => {
  socket.send(pause.getAttribute("aria-pressed") === "true" ? "resume" : "pause");
});
interval.addEventListener("input", () => (shown.textContent = interval.value));
interval.addEventListener("change", () => socket.send(interval.value));
