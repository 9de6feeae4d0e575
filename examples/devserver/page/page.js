"use strict";

// Everything that comes from the server is put into the page as text, never as markup.

const maxRows = 500;
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

function connected(user) {
  const cell = make("td");
  if (user.resources.length > 0) cell.append(make("span", user.resources.join(", "), { class: "on" }));
  else cell.textContent = "no";
  return cell;
}

function admin(user) {
  const cell = make("td");
  const form = make("form");
  const button = make("button", user.adminBlocked ? "Free" : "Block", { "aria-label": (user.adminBlocked ? "Free " : "Block ") + user.id });
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
  row.append(
    picture(user), make("td", user.id), make("td", user.name), make("td", user.status),
    make("td", [user.email, user.mobile].filter(Boolean).join(", ")), connected(user), make("td", user.blocked.join(", ")), admin(user),
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
      const focused = row?.node.contains(document.activeElement);
      if (row) row.node.replaceWith(node);
      row = { node, shown };
      rows.set(user.id, row);
      if (focused) node.querySelector("button").focus();
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

function showFaults(state) {
  const active = Object.entries(state.faults).map(([step, kind]) => step + ": " + kind);
  if (state.next.length > 0) active.push("next to fail: " + state.next.join(", "));
  if (state.delay > 0) active.push("delay: " + state.delay + " ms");
  if (state.off.length > 0) active.push("features off: " + state.off.join(", "));
  setText("active", active.length > 0 ? "Set now: " + active.join("; ") : "");
}

function showState(state) {
  showUsers(state.users);
  options($("user-ids"), state.users.map((user) => user.id));
  $("no-users").hidden = state.users.length > 0;
  setText("more-users", state.more > 0 ? state.more + " more are not shown." : "");
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
  return [clock(t.time), way, t.kind, who, call, status, t.method ? "" : t.text].filter(Boolean).join(" ");
}

function trafficRow(t) {
  const row = make("li", undefined, { "data-kind": t.kind });
  const details = make("details");
  details.append(make("summary", headline(t)));
  if (t.text) details.append(make("pre", t.text + (t.left ? "\n… and " + t.left + " bytes more" : "")));
  row.append(details);
  return row;
}

let waiting = []; // while the list is paused
const matches = (row) => row.textContent.toLowerCase().includes($("filter").value.toLowerCase());

function showTraffic({ gone, list }) {
  const fresh = [];
  if (gone > 0) fresh.push(make("li", gone + " not shown: too much at once", { class: "lost" }));
  for (const t of list) fresh.push(trafficRow(t));
  for (const row of fresh) row.hidden = !matches(row);
  waiting = waiting.concat(fresh).slice(-maxRows);
  if (!$("pause").checked) release();
}

function release() {
  $("traffic").prepend(...waiting.reverse());
  waiting = [];
  while ($("traffic").childElementCount > maxRows) $("traffic").lastElementChild.remove();
}

$("pause").addEventListener("change", () => { if (!$("pause").checked) release(); });
$("empty").addEventListener("click", () => $("traffic").replaceChildren());
$("filter").addEventListener("input", () => { for (const row of $("traffic").children) row.hidden = !matches(row); });

// The stream

function options(select, values, ...first) {
  select.replaceChildren(...first, ...values.map((value) => make("option", value, { value })));
}

function welcome(hello) {
  setText("domain", hello.domain + ".");
  setText("kept", hello.kept ? "Accounts are kept in " + hello.kept + "." : "Nothing is kept when it ends.");
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

function stop() {
  if (events) events.close();
  events = null;
}

function listen() {
  if (document.hidden) {
    stop();
  } else if (!events) {
    const source = new EventSource("/_dev/events");
    events = source;
    source.addEventListener("welcome", (message) => {
      welcome(JSON.parse(message.data));
      waiting = [];
      $("traffic").replaceChildren(); // the server sends the latest traffic again
      setText("link", "Live.");
    });
    source.addEventListener("state", (message) => showState(JSON.parse(message.data)));
    source.addEventListener("traffic", (message) => showTraffic(JSON.parse(message.data)));
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

document.addEventListener("visibilitychange", listen);
window.addEventListener("pagehide", stop);
window.addEventListener("pageshow", listen);
listen();
