// The driver for the tests of examples/qrlogin and of what QRCode draws.
import { drive, pages } from "../internal/browser/drive.mjs";

await drive({
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
});
