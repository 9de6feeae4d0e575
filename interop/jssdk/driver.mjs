// The driver that runs the official JavaScript SDK in Chromium. What the SDK tells its listeners comes as events, when it
// happens: {"page":"alice","event":"presenceListener","payload":{...}}.

import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { drive, openPage, pages, print } from "../internal/browser/drive.mjs";

const patience = 15000; // for one call of the SDK

// The SDK's file as it is in the package: it puts itself into window.MirrorFly.
const sdk = readFileSync(createRequire(import.meta.url).resolve("mirrorfly-sdk"));
const html = `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>jssdk</title>
<canvas id="qr"></canvas><script src="/sdk.js"></script>`;

// The app's own origin, another one than the service's, so that CORS is in force.
const site = createServer((request, response) => {
  const [type, body] = request.url === "/sdk.js" ? ["text/javascript", sdk] : ["text/html", html];
  response.writeHead(200, { "Content-Type": type, "Cache-Control": "no-store" }).end(body);
});

// inPage runs in the page. Arguments that JSON can't carry are written as {"$file":...} and {"$canvas":id}.
async function inPage({ method, args, patience }) {
  const revive = (value) => {
    if (value?.$file) {
      const bytes = Uint8Array.from(atob(value.$file.base64), (c) => c.charCodeAt(0));
      return new File([bytes], value.$file.name, { type: value.$file.type });
    }
    if (value?.$canvas) return document.getElementById(value.$canvas);
    if (value?.$listener) return (...payload) => window.tell(value.$listener, payload[0] ?? null);
    if (value?.$undefined) return undefined;
    if (value?.constructor === Object) {
      return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, revive(inner)]));
    }
    return value;
  };
  const config = args.map(revive);
  if (method === "initializeSDK" && config[0] && typeof config[0] === "object") {
    const names = ["connectionListener", "userProfileListener", "presenceListener", "blockUserListener",
      "messageListener", "editMessageListener", "userDeletedListener", "adminBlockListener", "friendsListListener"];
    const callbackListeners = {};
    for (const name of names) callbackListeners[name] = (...payload) => window.tell(name, payload[0] ?? null);
    config[0] = { ...config[0], callbackListeners };
  }
  const late = new Promise((done) => setTimeout(done, patience, { never: true }));
  const result = (async () => ({ result: (await window.MirrorFly[method](...config)) ?? null }))();
  return Promise.race([result.catch((error) => ({ threw: String(error) })), late]);
}

await new Promise((listening) => site.listen(0, "127.0.0.1", listening));
await drive({
  async openApp({ page: name, timezone }) {
    const page = await openPage(name, "", { timezoneId: timezone });
    await page.exposeFunction("tell", (event, payload) => print({ page: name, event, payload }));
    await page.goto(`http://localhost:${site.address().port}/`);
  },
  async call({ page, method, args }) { return pages.get(page).evaluate(inPage, { method, args: args ?? [], patience }); },
});
site.close();
