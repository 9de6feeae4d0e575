// Drives Chromium for the Go tests: a command is a line of JSON on standard input, its answer a line on standard
// output, {"ok":...} or {"error":...}. It ends with its input.
"use strict";

const readline = require("node:readline");
const { chromium } = require("playwright-core");

const patience = 20000;
const pages = new Map(); // by name
const requests = []; // addresses that pages have asked for
const problems = []; // what pages have complained about
let browser;

const commands = {
  async open({ page: name, url, width, height, dark }) {
    const context = await browser.newContext({
      viewport: { width, height }, colorScheme: dark ? "dark" : "light", deviceScaleFactor: width < 500 ? 2 : 1,
    });
    const page = await context.newPage();
    page.setDefaultTimeout(patience);
    page.on("request", (request) => requests.push(request.url()));
    page.on("pageerror", (error) => problems.push(String(error)));
    page.on("console", (message) => { if (message.type() === "error") problems.push(message.text()); });
    pages.set(name, page);
    if (url) await page.goto(url);
  },
  // The whole page, or what a selector finds.
  async screenshot({ page, selector, file }) {
    const target = selector ? pages.get(page).locator(selector) : pages.get(page);
    await target.screenshot(selector ? { path: file } : { path: file, fullPage: true });
  },
  async show({ page, html }) {
    await pages.get(page).setContent(html);
    await pages.get(page).evaluate(() => Promise.all([...document.images].map((image) => image.decode())));
  },
  // Waits until the code is drawn, and a newer one than before.
  async awaitCode({ page, before }) {
    const find = (old) => {
      const image = document.getElementById("qr");
      const drawn = image.checkVisibility() && image.complete && image.naturalWidth > 0;
      return drawn && image.src !== old ? image.src : "";
    };
    return (await pages.get(page).waitForFunction(find, before ?? "", { polling: 50 })).jsonValue();
  },
  async awaitText({ page, selector, text }) {
    await pages.get(page).locator(selector).filter({ hasText: text }).waitFor();
  },
  async click({ page, selector }) { await pages.get(page).locator(selector).click(); },
  async fill({ page, selector, text }) { await pages.get(page).locator(selector).fill(text); },
  async press({ page, key }) { await pages.get(page).keyboard.press(key); },
  async evaluate({ page, code }) { return pages.get(page).evaluate(code); },
  // Chromium's own accessibility tree, as screen readers get it: role and name of what is not left out.
  async accessibility({ page }) {
    const session = await pages.get(page).context().newCDPSession(pages.get(page));
    const { nodes } = await session.send("Accessibility.getFullAXTree");
    await session.detach();
    const byID = new Map(nodes.map((node) => [node.nodeId, node]));
    const text = (node) => node.role?.value === "StaticText" ? node.name?.value ?? "" :
      (node.childIds ?? []).map((id) => text(byID.get(id))).filter(Boolean).join(" ").replace(/\s+/g, " ");
    return nodes.filter((node) => !node.ignored).map((node) => ({
      role: node.role?.value ?? "", name: node.name?.value ?? "", text: text(node),
      live: node.properties?.find((p) => p.name === "live")?.value.value ?? "",
      focused: node.properties?.find((p) => p.name === "focused")?.value.value === true,
    }));
  },
  async seen() { return { requests, problems }; },
};

async function main() {
  browser = await chromium.launch({
    executablePath: process.argv[2],
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ],
  });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const command = JSON.parse(line);
    try {
      console.log(JSON.stringify({ ok: (await commands[command.do](command)) ?? null }));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error) }));
    }
  }
  await browser.close();
}

main();
