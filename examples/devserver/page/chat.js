"use strict";

// The chat window: somebody writes to a user as another user. Names, texts and files are what users
// have sent: they are put into the page as text, never as markup.

const typingPause = 3000; // milliseconds after which typing is told again, and after which it is over
const tickTexts = { acknowledge: "✓ sent", delivered: "✓✓ delivered", seen: "✓✓ seen" };

let chat = null; // the open window: as, with, source
const bubbles = new Map(); // by message: the node, and what it shows

const query = (fields) => new URLSearchParams(fields).toString();
const parties = () => ({ as: chat.as, with: chat.with });

// A file name must not say that it ends otherwise than it does, so what is invisible is replaced.
const nameOf = (file) => file.name.replace(/[\p{C}\p{Z}]+/gu, " ").trim() || "file";

function fileOf(line) {
  const href = "/_dev/chat/file?" + query({ ...parties(), from: line.own ? chat.as : chat.with, id: line.id });
  const name = nameOf(line.file);
  const link = make("a", "↓ " + name, { href, download: name, class: "file" });
  if (line.type !== "image") return link;
  const image = make("img", undefined, { src: href, alt: name });
  const around = make("a", undefined, { href, download: name, class: "picture" });
  image.addEventListener("load", () => { if (atEnd) toEnd(); });
  image.addEventListener("error", () => around.replaceWith(link));
  around.append(image);
  return around;
}

function ticks(line) {
  if (line.refused) return make("span", "✗ not delivered: " + line.refused, { class: "ticks", "data-status": "refused" });
  return make("span", tickTexts[line.status] ?? "", { class: "ticks", "data-status": line.status });
}

function bubble(line, lines) {
  const node = make("li", undefined, { class: line.own ? "own" : "theirs", "data-id": line.id });
  const answered = line.replyTo && lines.find((other) => other.id === line.replyTo);
  if (answered && !line.recalled) node.append(make("blockquote", answered.file ? nameOf(answered.file) : answered.text, { dir: "auto" }));
  if (line.file) node.append(fileOf(line));
  const text = line.recalled ? "This message was deleted." : line.file ? line.file.caption : line.text;
  if (text) node.append(make("p", text + (line.left ? " … and " + line.left + " bytes more" : ""), { dir: "auto" }));
  else if (!line.file) node.append(make("p", "(a message of the type " + line.type + ")"));
  const below = make("small", clock(line.time) + (line.edited ? " edited " : " "));
  if (line.own && !line.recalled) below.append(ticks(line));
  node.append(below);
  return node;
}

// toEnd scrolls to the newest message.
let atEnd = true; // it is in sight
function toEnd() {
  $("chat-lines").scrollTop = $("chat-lines").scrollHeight;
}
$("chat-lines").addEventListener("scroll", () => {
  const box = $("chat-lines");
  atEnd = box.scrollHeight - box.scrollTop - box.clientHeight < 40;
});

function showLines(state) {
  const list = $("chat-lines");
  const now = new Set();
  let before = null;
  for (const line of state.lines) {
    const key = (line.own ? "own " : "theirs ") + line.id;
    const answered = line.replyTo && state.lines.some((other) => other.id === line.replyTo);
    const shows = JSON.stringify([line, answered]);
    now.add(key);
    let known = bubbles.get(key);
    if (known && known.shows !== shows && known.settled === settledPart(line)) {
      known.node.querySelector(".ticks")?.replaceWith(ticks(line)); // so that a picture is not loaded again
      known.shows = shows;
    } else if (!known || known.shows !== shows) {
      const node = bubble(line, state.lines);
      known?.node.replaceWith(node);
      known = { node, shows, settled: settledPart(line) };
      bubbles.set(key, known);
    }
    const place = before ? before.nextSibling : list.firstChild;
    if (place !== known.node) list.insertBefore(known.node, place);
    before = known.node;
  }
  for (const [key, { node }] of bubbles) {
    if (now.has(key)) continue;
    node.remove();
    bubbles.delete(key);
  }
  if (atEnd) toEnd();
}

// settledPart is all of a message but what became of it.
const settledPart = (line) => JSON.stringify({ ...line, status: "", refused: "" });

function showChat(state) {
  const there = !state.known ? "has not registered yet" : state.online ? "online" : "offline";
  setText("chat-there", state.state === "CONNECTED" ? there : "you are " + state.state.toLowerCase());
  $("chat-there").className = state.online ? "on" : "soft";
  setText("chat-more", state.more > 0 ? state.more + " older messages are not shown." : "");
  setText("chat-typing", state.typing ? state.with + " is typing …" : "");
  showLines(state);
}

// What is written

const form = $("chat-write");

async function request(path, options) {
  try {
    const response = await fetch(path, options);
    return await response.json().catch(() => ({ error: response.statusText }));
  } catch {
    return { error: "the emulator does not answer" };
  }
}

const post = (order, content) => request("/_dev/do/" + order, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content),
});

// waitFor shows a message that is on its way, and returns whether it was sent.
async function waitFor(text, answered) {
  const node = make("li", undefined, { class: "own pending" });
  node.append(make("p", text, { dir: "auto" }), make("small", "sending …"));
  $("chat-pending").append(node);
  toEnd();
  const { error } = await answered;
  node.remove();
  setText("chat-said", error ? "Not sent: " + error : "");
  return !error;
}

form.addEventListener("submit", async (submit) => {
  submit.preventDefault();
  submit.stopPropagation();
  const text = form.text.value.trim();
  if (!text) return;
  form.text.value = "";
  stopTyping(false);
  const sent = await waitFor(text, post("write", { user: chat.as, to: chat.with, text }));
  if (!sent && !form.text.value) form.text.value = text;
});

form.file.addEventListener("change", async () => {
  for (const file of form.file.files) {
    await waitFor(file.name, request("/_dev/chat/file?" + query({ ...parties(), name: file.name }), {
      method: "PUT", headers: { "Content-Type": file.type || "application/octet-stream" }, body: file,
    }));
  }
  form.file.value = "";
});

let toldAt = 0, over = 0; // when typing was told last, and the timer that ends it

function tellTyping(on) {
  post("typing", { user: chat.as, to: chat.with, on });
}

form.text.addEventListener("input", () => {
  clearTimeout(over);
  over = setTimeout(stopTyping, typingPause, true);
  if (Date.now() - toldAt < typingPause) return;
  toldAt = Date.now();
  tellTyping(true);
});

function stopTyping(tell) {
  clearTimeout(over);
  if (tell && chat && toldAt > 0) tellTyping(false);
  toldAt = 0;
}

// The window

function watch() {
  if (!chat || chat.source || document.hidden) return;
  const source = new EventSource("/_dev/chat?" + query(parties()));
  chat.source = source;
  source.addEventListener("chat", (message) => showChat(JSON.parse(message.data)));
  source.addEventListener("refused", (message) => {
    closeChat();
    setText("chat-said", "Not opened: " + JSON.parse(message.data).error);
  });
  source.onerror = () => {
    setText("chat-there", "Trying again.");
    // The browser tries again by itself, unless the server has refused.
    if (source.readyState === EventSource.CLOSED) {
      unwatch();
      setTimeout(watch, 2000);
    }
  };
}

function unwatch() {
  chat?.source?.close();
  if (chat) chat.source = null;
}

function closeChat() {
  stopTyping(true);
  unwatch();
  chat = null;
  $("chat-window").hidden = true;
  $("chat-open").hidden = false;
}

$("chat-open").addEventListener("submit", (submit) => {
  submit.preventDefault();
  submit.stopPropagation();
  const fields = submit.target.elements;
  chat = { as: fields.as.value.toLowerCase(), with: fields.with.value.toLowerCase(), source: null };
  bubbles.clear();
  $("chat-lines").replaceChildren();
  for (const id of ["chat-said", "chat-typing", "chat-more"]) setText(id, "");
  setText("chat-with", chat.with);
  setText("chat-there", "Connecting …");
  atEnd = true;
  $("chat-window").hidden = false;
  $("chat-open").hidden = true;
  form.text.focus();
  watch();
});

$("chat-close").addEventListener("click", closeChat);
document.addEventListener("visibilitychange", () => document.hidden ? unwatch() : watch());
window.addEventListener("pagehide", unwatch);
window.addEventListener("pageshow", watch);
