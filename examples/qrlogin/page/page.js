"use strict";

const $ = (id) => document.getElementById(id);

const titles = {
  starting: "Log in with your phone",
  problem: "Log in with your phone",
  code: "Log in with your phone",
  loggedIn: "You are logged in",
};

const statuses = {
  starting: "Connecting …",
  problem: "There is no code at the moment.",
  code: "Waiting for your phone.",
  loggedIn: "Logged in as ",
};

// Screen readers read a live region aloud each time its text is set.
function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

// An image without its file would show a broken frame.
function setImage(image, address) {
  if (address === "") image.removeAttribute("src");
  else image.src = address;
}

let last = {};

function render(view) {
  const code = view.stage === "code";
  const loggedIn = view.stage === "loggedIn";
  const hadFocus = document.activeElement;

  setImage($("qr"), code ? "/code.svg?v=" + view.version : "");
  setImage($("picture"), view.picture ? "/picture.png?v=" + view.version : "");
  $("picture").alt = "Picture of " + view.name;
  $("picture").hidden = !view.picture;
  $("initials").hidden = view.picture;
  $("initials").textContent = view.initials;
  $("code").hidden = !code;
  $("face").hidden = !loggedIn;
  $("logout").hidden = !loggedIn;
  $("phone").hidden = !view.phone;
  $("scan").hidden = loggedIn;
  $("end").hidden = !loggedIn;
  if (view.stage !== last.stage) setText($("answer"), "");

  document.title = loggedIn ? statuses.loggedIn + view.name : "Log in by QR code";
  setText($("title"), titles[view.stage]);
  setText($("notice"), view.notice);
  setText($("say"), statuses[view.stage]);
  setText($("name"), view.name);

  // When a button disappears, the keyboard focus must not be lost with it.
  if (hadFocus && hadFocus !== document.body && hadFocus.closest("[hidden]")) $("title").focus();
  last = view;
}

// A browser opens only a few connections to one server, so only visible tabs have one. The server
// sends the latest view at the beginning.
let events = null;

function stop() {
  if (events) events.close();
  events = null;
}

function listen() {
  if (document.hidden) {
    stop();
  } else if (!events) {
    const source = new EventSource("/events");
    events = source;
    source.onmessage = (message) => render(JSON.parse(message.data));
    source.onerror = () => {
      render({ stage: "problem", notice: "This page has lost its program. Trying again.", name: "", initials: "" });
      // The browser tries again by itself, unless the server has refused.
      if (source.readyState === EventSource.CLOSED) {
        stop();
        setTimeout(listen, 3000);
      }
    };
  }
}

async function post(address, body) {
  try {
    const answer = await fetch(address, { method: "POST", body });
    return answer.ok ? "" : (await answer.text()).trim();
  } catch {
    return "The program does not answer.";
  }
}

// The buttons are never disabled, because that would take the focus from them. The server refuses a
// second request.
$("logout").addEventListener("click", async () => {
  const problem = await post("/logout");
  if (problem !== "") setText($("notice"), problem);
});

$("phone").addEventListener("submit", async (submit) => {
  submit.preventDefault();
  setText($("answer"), "");
  setText($("answer"), await post(submit.submitter.formAction, new URLSearchParams(new FormData($("phone")))));
});

document.addEventListener("visibilitychange", listen);
window.addEventListener("pagehide", stop);
window.addEventListener("pageshow", listen);
listen();
