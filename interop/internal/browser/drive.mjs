// Drives Chromium for package browser: a command is a line of JSON on standard input, its answer one on standard output,
// {"id":1,"ok":...} or {"id":1,"error":...}. What pages tell on their own comes as lines in between:
// {"page":"alice","event":"name","payload":...} and {"page":"alice","problem":"..."}.
// Arguments: Chromium's program, and flags for it.

import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const patience = 20000;
export const pages = new Map(); // by name
const requests = []; // addresses that pages have asked for
let browser;

export const print = (line) => process.stdout.write(JSON.stringify(line) + "\n");

// openPage makes a page in a window of its own; url may be empty.
export async function openPage(name, url, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.setDefaultTimeout(patience);
  page.on("request", (request) => requests.push(request.url()));
  page.on("pageerror", (error) => print({ page: name, problem: String(error) }));
  page.on("console", (message) => { if (message.type() === "error") print({ page: name, problem: message.text() }); });
  pages.set(name, page);
  if (url) await page.goto(url);
  return page;
}

const common = {
  async open({ page, url, width, height, dark }) {
    await openPage(page, url, {
      viewport: { width, height }, colorScheme: dark ? "dark" : "light", deviceScaleFactor: width < 500 ? 2 : 1,
    });
  },
  async close({ page }) {
    await pages.get(page).context().close();
    pages.delete(page);
  },
  // The whole page, or what a selector finds.
  async screenshot({ page, selector, file }) {
    const target = selector ? pages.get(page).locator(selector) : pages.get(page);
    await target.screenshot(selector ? { path: file } : { path: file, fullPage: true });
  },
  async awaitText({ page, selector, text }) {
    await pages.get(page).locator(selector).filter({ hasText: text }).first().waitFor();
  },
  async click({ page, selector }) { await pages.get(page).locator(selector).click(); },
  async fill({ page, selector, text }) { await pages.get(page).locator(selector).fill(text); },
  async select({ page, selector, text }) { await pages.get(page).locator(selector).selectOption(text); },
  async press({ page, key }) { await pages.get(page).keyboard.press(key); },
  async evaluate({ page, code }) { return pages.get(page).evaluate(code); },
  async requests() { return requests; },
  async forget() {
    await Promise.all([...pages.values()].map((page) => page.context().close()));
    pages.clear();
    requests.length = 0;
  },
};

// drive carries out commands until the input ends; extra are those of one test alone.
export async function drive(extra = {}) {
  const commands = { ...common, ...extra };
  const [program, ...flags] = process.argv.slice(2);
  browser = await chromium.launch({
    executablePath: program,
    args: [
      "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
      "--disable-component-update", "--disable-sync", ...flags,
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
}
