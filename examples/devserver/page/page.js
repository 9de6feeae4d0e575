"use strict";

// Everything that comes from the server is put into the page as text, never as markup.

const maxKept = 500; // pieces of traffic that the filter looks at
const maxRows = 200; // of them that are in the page at once
const maxHeadline = 160; // characters of a text that are in a headline
const searchPause = 200; // milliseconds without a key after which users are searched for
const $ = (id) => document.getElementById(id);

function make(tag, text, attributes = {}) {
  const node = document.createElement(tag);
  if (text !== undefined) node.textContent = text;
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}

// Screen readers read a live region aloud each time its text is set.
function setText(id, text) {
  if ($(id).textContent !== text) $(id).textContent = text;
}

// Orders

async function send(order, content) {
  try {
    const response = await fetch("/_dev/do/" + order, {
      method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content),
    });
    const answer = await response.json().catch(() => ({ error: response.statusText }));
    setText("said", answer.error ? "Not done: " + answer.error : answer.said);
  } catch {
    setText("said", "The emulator does not answer.");
  }
}

function contentOf(form) {
  const content = {};
  for (const field of form.elements) {
    if (!field.name) continue;
    if (field.type === "checkbox") content[field.name] = field.checked;
    else content[field.name] = field.type === "number" ? Number(field.value) : field.value;
  }
  return content;
}

document.addEventListener("submit", (submit) => {
  submit.preventDefault();
  const form = submit.target;
  send(submit.submitter?.dataset.order ?? form.dataset.order, contentOf(form));
});

// What the emulator holds

const rows = new Map(); // by user id: the row, and what it shows

const cell = (label, text) => make("td", text, { "data-label": label });

function picture(user) {
  const cell = make("td");
  if (user.picture) {
    const image = make("img", undefined, { alt: "Picture of " + (user.name || user.id), src: "/_dev/picture/" + encodeURIComponent(user.picture) });
    image.addEventListener("error", () => image.replaceWith("none to show"));
    cell.append(image);
  } else if (user.link) {
    cell.textContent = user.link; // a picture of another site is not loaded
  }
  return cell;
}

// pick is a button that fills the user in where a user is asked for.
function pick(user) {
  const inside = cell("User");
  const button = make("button", user.id, { type: "button", class: "name", title: "Fill in " + user.id + " below" });
  button.addEventListener("click", () => {
    for (const field of document.querySelectorAll('#act [name="user"], #chat-open [name="with"]')) field.value = user.id;
    setText("said", user.id + " is filled in below.");
  });
  inside.append(button);
  return inside;
}

function connected(user) {
  const inside = cell("Connected");
  if (user.resources.length > 0) inside.append(make("span", user.resources.join(", "), { class: "on" }));
  else inside.textContent = "no";
  return inside;
}

function admin(user) {
  const cell = make("td", undefined, { class: "admin" });
  const form = make("form");
  const does = user.adminBlocked ? "free" : "block";
  const button = make("button", "Admin: " + does, { class: "quiet", "aria-label": "As the administrator " + does + " " + user.id });
  form.append(button);
  form.addEventListener("submit", (submit) => {
    submit.preventDefault();
    submit.stopPropagation();
    send("admin", { user: user.id, on: !user.adminBlocked });
  });
  cell.append(form);
  return cell;
}

function userRow(user) {
  const row = make("tr", undefined, { "data-user": user.id, class: user.resources.length > 0 ? "on" : "off" });
  const blocked = user.blocked.join(", ") + (user.moreBlocked > 0 ? " and " + user.moreBlocked + " more" : "");
  row.append(
    picture(user), pick(user), cell("Name", user.name), cell("Status", user.status),
    cell("Email, mobile", [user.email, user.mobile].filter(Boolean).join(", ")), connected(user),
    cell("Has blocked", blocked), admin(user),
  );
  return row;
}

// Rows that have not changed are not replaced: a button under the pointer and the focus stay where they are.
function showUsers(users) {
  const body = $("users").tBodies[0];
  const now = new Set(users.map((user) => user.id));
  for (const [id, row] of rows) {
    if (now.has(id)) continue;
    row.node.remove();
    rows.delete(id);
  }
  let before = null;
  for (const user of users) {
    const shown = JSON.stringify(user);
    let row = rows.get(user.id);
    if (!row || row.shown !== shown) {
      const node = userRow(user);
      const focused = row?.node.contains(document.activeElement) ? document.activeElement.closest("td").className : null;
      if (row) row.node.replaceWith(node);
      row = { node, shown };
      rows.set(user.id, row);
      if (focused !== null) node.querySelector(focused === "admin" ? ".admin button" : ".name").focus();
    }
    const place = before ? before.nextSibling : body.firstChild;
    if (place !== row.node) body.insertBefore(row.node, place);
    before = row.node;
  }
}

const clock = (time) => new Date(time).toLocaleTimeString([], { hour12: false });

function showList(id, list, text) {
  const shown = JSON.stringify(list);
  if ($(id).dataset.shown === shown) return;
  $(id).dataset.shown = shown;
  $(id).replaceChildren(...list.map((one) => make("li", clock(one.time) + " " + text(one))));
}

// counted names what comes more than once only once.
function counted(list) {
  const times = new Map();
  for (const one of list) times.set(one, (times.get(one) ?? 0) + 1);
  return [...times].map(([one, n]) => n > 1 ? one + " × " + n : one).join(", ");
}

function showFaults(state) {
  const active = Object.entries(state.faults).map(([step, kind]) => step + ": " + kind).concat(state.matched);
  if (state.next.length > 0) active.push("next to fail: " + counted(state.next));
  if (state.refusals.length > 0) active.push("next messages refused: " + counted(state.refusals));
  if (state.delay > 0) active.push("delay: " + state.delay + " ms");
  if (state.off.length > 0) active.push("features off: " + state.off.join(", "));
  setText("active", active.length > 0 ? "Set now: " + active.join("; ") : "");
}

function showState(state) {
  showUsers(state.users);
  const ids = state.users.map((user) => user.id);
  if ($("user-ids").dataset.shown !== ids.join()) {
    $("user-ids").dataset.shown = ids.join();
    options($("user-ids"), ids);
  }
  $("no-users").hidden = state.users.length > 0;
  setText("no-users", state.total > 0 ? "No user has that in id, name, email, mobile or status." : "Nobody has registered yet.");
  setText("counts", state.total > 0 ? "Users: " + state.total + ", connected: " + state.connected : "");
  setText("more-users", state.more > 0 ? state.more + " more are not shown. Search for them." : "");
  showList("feedback", state.feedback, (f) => f.user + ": " + f.title + ": " + f.description);
  showList("reports", state.reports, (r) => r.from + " reports " + r.to + " (" + r.chatType + "): " + r.data);
  showList("deleted", state.deleted, (d) => d.user + ": " + d.reason + (d.feedback ? ": " + d.feedback : ""));
  showFaults(state);
}

// Traffic

const brief = (text) => text.length > 10 ? text.slice(0, 9) + "…" : text;

function headline(t) {
  const who = t.user ? t.user + (t.resource ? "/" + brief(t.resource) : "") : "somebody";
  const call = t.method ? t.method + " " + t.path + (t.query ? "?" + t.query : "") : "";
  const status = t.kind === "rest" && t.toClient ? (t.status || "no answer") : "";
  const way = t.kind === "session" ? "·" : t.toClient ? "←" : "→";
  const text = t.method ? "" : (t.text ?? "").slice(0, 2 * maxHeadline).replace(' xmlns="jabber:client"', "").slice(0, maxHeadline);
  return [clock(t.time), way, t.kind, who, call, status, text].filter(Boolean).join(" ");
}

// Rows are one line each. The text of a row comes into the page when the row is opened.
function trafficRow({ t, lost }) {
  if (lost) return make("li", lost, { class: "lost" });
  const row = make("li", undefined, { "data-kind": t.kind });
  const details = make("details");
  details.append(make("summary", headline(t)));
  details.addEventListener("toggle", () => {
    if (!details.open || details.children.length > 1) return;
    const text = t.text || "(no content)";
    details.append(make("pre", text + (t.left ? "\n… and " + t.left + " bytes more" : "")));
  });
  row.append(details);
  return row;
}

// An entry is a piece of traffic, or says what is lost; text is what the filter looks at, head and content.
let kept = []; // entries, oldest first
let fresh = []; // that are not in the page yet

const matches = (entry) => entry.text.includes($("filter").value.toLowerCase());

function showTraffic({ gone, list }) {
  if (gone > 0) {
    const lost = gone + " not shown: too much at once";
    fresh.push({ lost, text: lost });
  }
  for (const t of list) fresh.push({ t, text: (headline(t) + "\n" + (t.text ?? "")).toLowerCase() });
  fresh = fresh.slice(-maxKept);
  if (!$("pause").checked) release();
}

let releasing = false;

// release brings into the page what has come, all that comes between two pictures at once.
function release() {
  if (releasing) return;
  releasing = true;
  requestAnimationFrame(() => {
    releasing = false;
    kept = kept.concat(fresh).slice(-maxKept);
    $("traffic").prepend(...fresh.filter(matches).slice(-maxRows).reverse().map(trafficRow));
    fresh = [];
    while ($("traffic").childElementCount > maxRows) $("traffic").lastElementChild.remove();
    countTraffic();
  });
}

function filterTraffic() {
  $("traffic").replaceChildren(...kept.filter(matches).slice(-maxRows).reverse().map(trafficRow));
  countTraffic();
}

function countTraffic() {
  const rows = $("traffic").childElementCount;
  setText("traffic-count", kept.length > 0 ? "Shown: " + rows + " of the newest " + kept.length + ". A line opens." : "");
}

function emptyTraffic() {
  kept = [];
  fresh = [];
  $("traffic").replaceChildren();
  countTraffic();
}

$("pause").addEventListener("change", () => { if (!$("pause").checked) release(); });
$("empty").addEventListener("click", emptyTraffic);
$("filter").addEventListener("input", filterTraffic);

// The stream

function options(select, values, ...first) {
  select.replaceChildren(...first, ...values.map((value) => make("option", value, { value })));
}

function welcome(hello) {
  setText("domain", hello.domain + ".");
  setText("kept", hello.kept ? "Accounts, messages and the certificate authority are kept in " + hello.kept + "." : "Nothing is kept when it ends.");
  setText("go", hello.go);
  setText("browser", hello.browser);
  setText("js", hello.js);
  const kind = document.querySelector("select[name=kind]");
  if (kind.options.length > 1) return; // after a reconnection: what was chosen stays
  options(document.querySelector("select[name=step]"), hello.steps);
  options(kind, hello.kinds, kind.options[0]);
  options(document.querySelector("select[name=feature]"), hello.features);
}

// A browser opens only a few connections to one server, so only visible tabs have one.
let events = null;
let last = ""; // the id of the last event, from which a new stream goes on

function stop() {
  if (events) events.close();
  events = null;
}

function listen() {
  if (document.hidden) {
    stop();
  } else if (!events) {
    const source = new EventSource("/_dev/events?" + new URLSearchParams({ search: $("search").value, last }));
    events = source;
    source.addEventListener("welcome", (message) => {
      const hello = JSON.parse(message.data);
      welcome(hello);
      if (!hello.continued) emptyTraffic(); // the server sends the latest traffic again
      setText("link", "Live.");
    });
    source.addEventListener("state", (message) => showState(JSON.parse(message.data)));
    source.addEventListener("traffic", (message) => {
      last = message.lastEventId;
      showTraffic(JSON.parse(message.data));
    });
    source.onerror = () => {
      setText("link", "This page has lost the emulator. Trying again.");
      // The browser tries again by itself, unless the server has refused.
      if (source.readyState === EventSource.CLOSED) {
        stop();
        setTimeout(listen, 2000);
      }
    };
  }
}

let searching = 0; // the timer of a search

$("search").addEventListener("input", () => {
  clearTimeout(searching);
  searching = setTimeout(() => {
    stop();
    listen();
  }, searchPause);
});

document.addEventListener("visibilitychange", listen);
window.addEventListener("pagehide", stop);
window.addEventListener("pageshow", listen);
listen();
