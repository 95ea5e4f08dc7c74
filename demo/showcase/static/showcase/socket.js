// A WebSocket to a path of this site, for a page that shows how it fares.
//
//   const socket = new Socket({ reconnect: true });
//   socket.addEventListener("message", ({ detail }) => ...);   // detail: the text
//   socket.send("Hello");
//
// The path is the data-path of #state, which shows the state: "connecting", "open",
// "waiting" (lost, and about to try again) or "closed". #connect and #disconnect follow it, and
// so does whatever is given as `controls`: enabled while the socket is open.
// Events: "open"; "message"; "close", with detail { code, reason }.

const FIRST_DELAY = 0.5; // seconds
const LONGEST_DELAY = 30;

// Closed by agreement (1000) or for what this page did (1002 to 1009): no reason to come back.
const comesBack = (code) => code === 1001 || code === 1006 || code > 1009;

export class Socket extends EventTarget {
  #socket = null;
  #timer = null;
  #failures = 0;
  #asleep = false;
  #state = document.querySelector("#state");
  #connect = document.querySelector("#connect");
  #disconnect = document.querySelector("#disconnect");

  constructor({ reconnect = false, controls = [] } = {}) {
    super();
    this.reconnect = reconnect;
    this.controls = controls;
    this.#connect.addEventListener("click", () => this.open());
    this.#disconnect.addEventListener("click", () => this.close());
    window.addEventListener("online", () => this.#timer && this.open());
    // A page that one leaves may live on in the browser's cache, and its socket with it.
    window.addEventListener("pagehide", () => this.#sleep());
    window.addEventListener("pageshow", () => this.#wake());
    this.open();
  }

  open() {
    clearTimeout(this.#timer);
    this.#timer = null;
    const url = new URL(this.#state.dataset.path, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = (this.#socket = new WebSocket(url));
    socket.binaryType = "arraybuffer";
    this.#show("connecting", "connecting…");
    socket.addEventListener("open", () => {
      this.#show("open", "connected");
      this.#tell("open");
    });
    socket.addEventListener("message", ({ data }) => {
      this.#failures = 0; // not on "open" yet: a full server opens, only to close again
      const text = typeof data === "string" ? data : `[${data.byteLength} bytes]`;
      this.#tell("message", text);
    });
    socket.addEventListener("close", ({ code, reason }) => {
      if (this.#socket === socket) this.#ended(code, reason);
    });
  }

  send(text) {
    this.#socket.send(text);
  }

  sendJSON(value) {
    this.send(JSON.stringify(value));
  }

  // For good: no reconnecting after this.
  close() {
    if (this.#timer) {
      clearTimeout(this.#timer);
      this.#timer = null;
      this.#show("closed", "not connected");
    } else {
      this.#socket.close(1000);
    }
  }

  #sleep() {
    this.#asleep = this.#state.dataset.state !== "closed";
    if (this.#asleep) this.close();
  }

  #wake() {
    if (this.#asleep) this.open();
    this.#asleep = false;
  }

  #ended(code, reason) {
    const why = reason ? `${code}: ${reason}` : `${code}`;
    if (this.reconnect && comesBack(code)) {
      const longest = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#failures++);
      const delay = longest * (0.5 + Math.random() / 2); // so that not all tabs come at once
      this.#timer = setTimeout(() => this.open(), delay * 1000);
      this.#show("waiting", `lost (${why}), trying again in ${delay.toFixed(1)} s`, code);
    } else {
      this.#show("closed", `closed (${why})`, code);
    }
    this.#tell("close", { code, reason });
  }

  #show(state, text, code = "") {
    this.#state.dataset.state = state;
    this.#state.dataset.code = code;
    this.#state.textContent = text;
    this.#connect.hidden = state !== "closed" && state !== "waiting";
    this.#disconnect.hidden = state === "closed";
    for (const control of this.controls) control.disabled = state !== "open";
  }

  #tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
