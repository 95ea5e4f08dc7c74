// The log of a page, #log: a list that keeps its last lines and stays scrolled to the end, unless
// the reader has scrolled up.

const LINES = 200;
const list = document.querySelector("#log");

// `kind` is "sent", "received", "notice" or "error". Text goes in as text, never as HTML.
export function log(kind, text, { name = "", time = new Date() } = {}) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  const item = document.createElement("li");
  item.dataset.kind = kind;
  const clock = document.createElement("time");
  clock.dateTime = time.toISOString();
  clock.textContent = time.toLocaleTimeString([], { hour12: false });
  item.append(clock);
  if (name) item.append(span("name", name));
  item.append(span("text", text));
  list.append(item);
  while (list.children.length > LINES) list.firstElementChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

export function clear() {
  list.replaceChildren();
}

function span(className, text) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
}
