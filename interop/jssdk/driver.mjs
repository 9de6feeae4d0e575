// Runs the official JavaScript SDK in Chromium for the Go tests: one command is a line of JSON on standard input, its
// answer one on standard output. What the SDK tells its listeners comes as lines of its own, when it happens:
//
//	{"page":"alice","event":"presenceListener","payload":{...}}
//
// The driver ends with its input. Arguments: Chromium's program, and the host-resolver-rules.

import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const [program, hostRules] = process.argv.slice(2);
const patience = 15000; // for one call of the SDK
const pages = new Map();
const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

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
    return value;
  };
  const config = args.map(revive);
  if (method === "initializeSDK" && config[0] && typeof config[0] === "object") {
    const names = ["connectionListener", "userProfileListener", "presenceListener", "blockUserListener",
      "messageListener", "userDeletedListener", "adminBlockListener", "friendsListListener"];
    const callbackListeners = {};
    for (const name of names) callbackListeners[name] = (...payload) => window.tell(name, payload[0] ?? null);
    config[0] = { ...config[0], callbackListeners };
  }
  const late = new Promise((done) => setTimeout(done, patience, { never: true }));
  const result = (async () => ({ result: (await window.MirrorFly[method](...config)) ?? null }))();
  return Promise.race([result.catch((error) => ({ threw: String(error) })), late]);
}

const commands = {
  async open({ page: name, timezone }) {
    const context = await browser.newContext({ timezoneId: timezone });
    const page = await context.newPage();
    page.on("pageerror", (error) => print({ page: name, problem: String(error) }));
    page.on("console", (message) => { if (message.type() === "error") print({ page: name, problem: message.text() }); });
    await page.exposeFunction("tell", (event, payload) => print({ page: name, event, payload }));
    await page.goto(`http://localhost:${site.address().port}/`);
    pages.set(name, page);
  },
  async call({ page, method, args }) { return pages.get(page).evaluate(inPage, { method, args: args ?? [], patience }); },
  async evaluate({ page, code }) { return pages.get(page).evaluate(code); },
  async close({ page }) {
    await pages.get(page).context().close();
    pages.delete(page);
  },
};

await new Promise((listening) => site.listen(0, "127.0.0.1", listening));
const browser = await chromium.launch({
  executablePath: program,
  args: [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--ignore-certificate-errors", `--host-resolver-rules=${hostRules}`,
  ],
});
const running = new Set();
for await (const line of createInterface({ input: process.stdin })) {
  const { id, do: name, ...params } = JSON.parse(line);
  // Commands run beside each other: a page may wait for what another one does.
  const work = (async () => commands[name](params))()
    .then((ok) => print({ id, ok: ok ?? null }), (error) => print({ id, error: String(error) }))
    .finally(() => running.delete(work));
  running.add(work);
}
await Promise.allSettled(running);
await browser.close();
site.close();
