// The studio's keyboard and its writes. Reads are htmx's; every write is JSON to this server, every response its own HTML.
"use strict";

const find = (selector, within = document) => within.querySelector(selector);
const all = (selector, within = document) => [...within.querySelectorAll(selector)];
const sheet = () => find("#sheet");
const cards = () => all("#cards .card");
let keys = {}; // tag -> key

// --- messages to the user ---------------------------------------------------------------------------------
let toastTimer = 0;
function toast(text) {
  const place = find("#said");
  place.textContent = text;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => { place.textContent = ""; }, 2500);
}

function banner(text) {
  const place = find("#banner");
  place.textContent = text;
  place.hidden = !text;
}

// --- requests to the server --------------------------------------------------------------------------------------------
async function ask(path, method = "GET", body = undefined) {
  let answer;
  try {
    answer = await fetch(path, {
      method, credentials: "same-origin", redirect: "error", keepalive: method !== "GET", // continues after the page is left
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    banner("The studio does not respond. Changes are not saved. Is gnomon studio still running in its terminal?");
    return null;
  }
  if (answer.status === 401) {
    banner("This browser's session has ended: the studio was restarted. Open the link it printed in its terminal.");
    return null;
  }
  if (!answer.ok) {
    let fault = `refused (${answer.status})`;
    if ((answer.headers.get("Content-Type") || "").startsWith("application/json")) fault = (await answer.json()).fault || fault;
    if (answer.status === 404) fault = "this run, or a part of it, no longer exists. Was its folder moved or deleted?";
    if (answer.status === 422) { toast(fault); return null; }
    banner(method === "GET" ? `This page cannot be updated: ${fault}` : `Not saved: ${fault}`);
    return null;
  }
  banner("");
  return answer;
}

const parsed = (html) => { const holder = document.createElement("template"); holder.innerHTML = html; return holder.content; };

let newest = 0; // the sequence number of the newest response shown

function take(answer) { // counts and cards from the server
  if (answer.seq < newest) return; // overtaken by a newer one
  newest = answer.seq;
  if (answer.keys) keys = answer.keys;
  if (answer.counts !== undefined) find("#counts").replaceChildren(parsed(answer.counts));
  for (const [position, html] of Object.entries(answer.cards || {})) {
    const old = find(`#cards .card[data-position="${Number(position)}"]`);
    if (!old) continue;
    const had = old === document.activeElement, current = old.classList.contains("current");
    const fresh = parsed(html).firstElementChild;
    const before = find("img.view", old), after = find("img.view", fresh);
    if (before && after) after.replaceWith(before); // no flicker
    old.replaceWith(fresh);
    drawMarks();
    if (current) fresh.classList.add("current");
    if (had) fresh.focus({ preventScroll: true });
  }
}

async function write(path, body, method = "POST") {
  const answer = await ask(sheet().dataset.place + path, method, body);
  if (!answer) return null;
  const value = await answer.json();
  take(value);
  return value;
}

const record = (events) => write("/record", { events });

// --- the example the keys apply to --------------------------------------------------------------------------
const current = () => find("#cards .card.current");

let chosen = ""; // its position, which remains when the card is replaced

function select(card, scroll = true, focus = true) {
  if (!card) return;
  chosen = card.dataset.position;
  all("#cards .card.current").forEach((one) => one.classList.remove("current"));
  card.classList.add("current");
  if (focus) card.focus({ preventScroll: true });
  if (scroll) card.scrollIntoView({ block: "nearest" });
}

function move(step) {
  const list = cards(), here = list.indexOf(current());
  if (!list.length) return;
  const next = here < 0 ? 0 : here + step;
  if (next >= list.length) { const on = find('[data-does-key="]"]'); if (on) { sessionStorage.setItem("begin", "1"); on.click(); } else toast("that was the last one"); return; }
  select(list[Math.max(0, next)]);
}

function rowLength() { // cards per row of the grid
  const list = cards();
  if (list.length < 2) return 1;
  const top = list[0].offsetTop, next = list.findIndex((card) => card.offsetTop !== top);
  return next < 0 ? list.length : next;
}

const position = (card) => Number(card.dataset.position);

let line = Promise.resolve(); // fast keystrokes are sent in order
function inTurn(deed) { line = line.then(deed, deed); return line; }

function toggle(tag) {
  const card = current();
  if (!card) { toast("choose an example first: j, or a click"); return; }
  const place = position(card);
  inTurn(async () => {
    const now = find(`#cards .card[data-position="${place}"]`) || card; // as of the last response
    const has = JSON.parse(now.dataset.tags).includes(tag);
    if (await record([{ position: place, kind: "tag", tag, value: has ? "0" : "1" }])) toast(has ? `not ${tag}` : tag);
  });
}

// --- questions to the user ----------------------------------------------------------------------------------------------
function question(text, value = "") {
  const dialog = find("#ask"), input = find("#ask-text");
  find("#ask-title").textContent = text;
  input.value = value;
  dialog.returnValue = "";
  dialog.showModal();
  input.select();
  return new Promise((done) => dialog.addEventListener("close", () => done(dialog.returnValue === "ok" ? input.value.trim() : null), { once: true }));
}

const deeds = {
  theme() {
    const root = document.documentElement;
    const isDark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = isDark ? "light" : "dark";
    localStorage.setItem("theme", root.dataset.theme);
  },
  help() { find("#help").showModal(); },
  async link() {
    const answer = await ask("/links", "POST", {});
    if (answer) await question("Open this link in the other browser; it works once", (await answer.json()).link);
  },
  async new() {
    const name = await question("The new tag's name");
    if (name && name.length > 80) { toast("a tag's name has at most 80 characters: put the rest into a comment"); return; }
    if (name) await write("/tags", { name });
  },
  undo() {
    inTurn(async () => {
      const answer = await write("/undo", {});
      if (answer) toast(answer.undone ? "undone" : "nothing to undo");
    });
  },
  async cost(button) {
    const text = await question("What fixing it costs, compared with the other tags (each is 1 until you say so)", button.dataset.cost);
    if (text === null) return;
    const cost = Number(text.replace(",", "."));
    if (!(cost > 0 && cost <= 1e6)) { toast("give a number above 0"); return; }
    if (await write("/costs", { name: button.dataset.tag, cost })) {
      htmx.ajax("GET", find("#sheet").dataset.place + "?part=machine", { target: "#machine", swap: "innerHTML" }); // its order
    }
  },
  async drop(button) { await write("/tags", { name: button.dataset.tag }, "DELETE"); toast("ended; undo brings it back"); },
  async comment() {
    const card = current();
    if (!card) { toast("choose an example first: j, or a click"); return; }
    const text = await question("Comment", card.dataset.comment);
    if (text !== null) await record([{ position: position(card), kind: "comment", value: text }]);
    select(card.isConnected ? card : find(`#cards .card[data-position="${position(card)}"]`), false);
  },
  tag(button) { toggle(button.dataset.tag); },
  async verdict(button) { await review("/record", { place: Number(button.dataset.at), verdict: button.dataset.verdict }); },
  async unsay() { await review("/undo", {}); },
  async goto(button) { await review(`?at=${Number(button.dataset.at)}&part=question`); },
  look() {
    const card = current();
    if (!card) { move(1); return; }
    const place = position(card);
    inTurn(() => record([{ position: place, kind: "look" }]));
    move(1);
  },
  async large() {
    const card = current();
    if (!card) return;
    const place = sheet().dataset.place.replace(/\/errors\//, "/examples/");
    const answer = await ask(`${place}/${position(card)}`);
    if (!answer) return;
    find("#large-content").replaceChildren(parsed(await answer.text()));
    drawMarks();
    find("#large").showModal();
    find("#large > form button").focus(); // not what computes
  },
};

deeds.maps = async (button) => { // computed when first asked for: the page goes on meanwhile
  const place = button.parentElement, kept = [...button.childNodes];
  button.disabled = true;
  button.textContent = "computing …";
  const answer = await ask(button.dataset.place);
  if (answer) { place.replaceChildren(parsed(await answer.text())); return; }
  button.disabled = false;
  button.replaceChildren(...kept);
};

// --- what is drawn on pictures ---------------------------------------------------------------------------------
const MARKS = { both: "label and answer", label: "label alone", answer: "answer alone", "": "the picture alone" };
const shownMarks = () => sessionStorage.getItem("marks") ?? "both";

function drawMarks() {
  const shown = shownMarks();
  for (const picture of all("img.view.marked")) {
    const address = picture.getAttribute("src").split("?")[0] + (shown ? `?shown=${shown}` : "");
    if (picture.getAttribute("src") !== address) picture.setAttribute("src", address);
  }
  if (find("#marks")) find("#marks").textContent = MARKS[shown];
}

deeds.marks = () => {
  const names = Object.keys(MARKS);
  sessionStorage.setItem("marks", names[(names.indexOf(shownMarks()) + 1) % names.length]);
  drawMarks();
  toast(MARKS[shownMarks()]);
};

let isAsking = false; // a key pressed before the next question appears would answer the old one
async function review(path, body) {
  if (isAsking) return;
  isAsking = true;
  const place = find("#review"), answer = await ask(place.dataset.place + path, body ? "POST" : "GET", body);
  isAsking = false;
  if (!answer) return;
  place.replaceChildren(parsed(await answer.text()));
  htmx.process(place);
  find("#main").focus({ preventScroll: true });
}

async function nudge(form) {
  const answer = await ask(form.dataset.nudge, "POST", { key: form.elements.key.value, value: form.elements.value.value });
  if (answer) toast("requested; it takes effect before the next step");
}

function onKey(event) {
  if (event.key === "x" && find("#large[open] img.view.marked")) { event.preventDefault(); deeds.marks(); return; }
  const maps = event.key === "m" && find("#large[open] [data-does=maps]:not([disabled])");
  if (maps) { event.preventDefault(); maps.click(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey || find("dialog[open]")) return;
  if (event.target.closest("input, select, textarea")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const act = (deed) => { event.preventDefault(); deed(); };
  if (event.key === "?") return act(deeds.help);
  if (event.key === "/") { const box = find("[data-filter]"); if (box) act(() => box.focus()); return; }
  const link = find(`[data-does-key="${CSS.escape(event.key)}"]`);
  if (link) return act(() => link.click());
  const button = find(`[data-key="${CSS.escape(event.key)}"]:not([disabled])`);
  if (button) return act(() => button.click());
  if (find("#runs") && "jkx".includes(event.key)) return act(() => amongRuns(event.key));
  if (!sheet()) return;
  const tag = Object.keys(keys).find((name) => keys[name] === event.key);
  if (tag !== undefined) return act(() => toggle(tag));
  if (event.key === "x" && find("img.view.marked")) return act(deeds.marks);
  if (event.key === "u") return act(deeds.undo);
  if (event.key === "n") return act(deeds.new);
  if (event.target.closest("a, button, summary") && (event.key === " " || event.key === "Enter")) return;
  const steps = { j: 1, k: -1, ArrowRight: 1, ArrowLeft: -1, ArrowDown: rowLength(), ArrowUp: -rowLength() };
  if (event.key in steps) return act(() => move(steps[event.key]));
  if (event.key === " ") return act(deeds.look);
  if (event.key === "c") return act(deeds.comment);
  if (event.key === "Enter") return act(deeds.large);
}

function amongRuns(key) {
  const links = all("#runs th[scope=row] a"), here = links.indexOf(document.activeElement);
  if (key === "x" && here >= 0) { const box = find("input[name=run]", links[here].closest("tr")); box.checked = !box.checked; }
  else if (key !== "x" && links.length) links[Math.min(Math.max(here + (key === "j" ? 1 : -1), 0), links.length - 1)].focus();
}

// --- changes by others ----------------------------------------------------------------------------------------------
async function listen() {
  if (document.hidden || !sheet() || find("dialog[open]")) return;
  const answer = await ask(`${sheet().dataset.place}/changes?since=${Number(sheet().dataset.seq)}`);
  if (!answer) return;
  const value = await answer.json();
  // The response to a write here has only its own cards: only this one has all changes by others.
  if (value.seq >= newest) sheet().dataset.seq = value.seq;
  take(value);
}

function foldMachine(isWanted = matchMedia("(max-width: 62rem)").matches) { // on a narrow page the examples come first
  const machine = find("#machine details");
  if (machine && isWanted) machine.open = false;
}

// --- start ----------------------------------------------------------------------------------------------------
const kept = localStorage.getItem("theme");
if (kept === "dark" || kept === "light") document.documentElement.dataset.theme = kept;

document.addEventListener("DOMContentLoaded", () => {
  document.addEventListener("keydown", onKey);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-does]");
    if (button && Object.hasOwn(deeds, button.dataset.does)) { deeds[button.dataset.does](button); return; }
    const card = event.target.closest("#cards .card");
    if (card) select(card, false);
  });
  document.addEventListener("dblclick", (event) => { if (event.target.closest("#cards .card")) deeds.large(); });
  document.addEventListener("change", (event) => { if (event.target.matches("[data-submits]")) event.target.form.submit(); });
  document.addEventListener("submit", (event) => {
    if (event.target.matches("[data-nudge]")) { event.preventDefault(); nudge(event.target); }
  });
  let held = { ticked: [], open: [], folded: false }; // what the user set in the part that is about to be redrawn
  document.addEventListener("htmx:beforeSwap", (event) => {
    const part = event.detail.target;
    held = { ticked: all("input[name=run]:checked", part).map((one) => one.value),
      open: all("details[open] > summary", part).map((one) => one.textContent),
      folded: find("details.machine:not([open])", part) !== null };
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "machine") banner("");
    for (const one of all("#runs input[name=run]")) one.checked ||= held.ticked.includes(one.value);
    for (const one of all("#live summary")) one.parentElement.open ||= held.open.includes(one.textContent);
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "machine") return;
    if (held.folded) foldMachine(true); else foldMachine();
    if (find("#machine [hx-get]")) return; // tags are still being computed
    const here = new URL(location.href);
    here.searchParams.set("part", "opening");
    htmx.ajax("GET", here.pathname + here.search, { target: "#grid", swap: "innerHTML" }); // its tags are on the cards
  });
  document.addEventListener("htmx:afterSwap", (event) => {
    if (event.target.id !== "grid") return;
    drawMarks();
    const isTyping = document.activeElement && document.activeElement.matches("input, select");
    // who is typing keeps the focus; the keys apply to this card all the same once the dialog closes
    select(find(`#cards .card[data-position="${chosen}"]`) || cards()[0], false, !isTyping);
  });
  document.addEventListener("htmx:responseError", (event) => {
    banner(event.detail.xhr.status === 401
      ? "This browser's session has ended: the studio was restarted. Open the link it printed in its terminal."
      : event.detail.xhr.status === 404 ? "This no longer exists. Was the run's folder moved or deleted?"
      : `The studio could not do that (${event.detail.xhr.status}).`);
  });
  document.addEventListener("htmx:sendError", () => banner("The studio does not respond. Is gnomon studio still running in its terminal?"));
  if (sheet()) {
    keys = JSON.parse(sheet().dataset.keys);
    setInterval(listen, 2000);
    foldMachine();
    drawMarks();
    select(cards()[0], sessionStorage.getItem("begin") !== null);
    sessionStorage.removeItem("begin");
  }
});
