"""Load each page of the built site in headless Chromium, as a reader would, and report what is wrong.

    python scripts/check_site.py [PAGE...]

Each page is loaded in light and dark, at the width of a desktop and of a phone. Faults are: errors on the console,
requests that fail or leave the site, missing images, diagrams that are not drawn, pages wider than the window, text
with little contrast (WCAG 2.2, 1.4.3), and links to an anchor that the page does not have. Screenshots are written to
`.tools/screenshots`.
"""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urldefrag, urljoin, urlsplit

from playwright.sync_api import Browser, ConsoleMessage, Request, sync_playwright

ROOT = Path(__file__).parents[1]
SITE = ROOT / "site"
SCREENSHOTS = ROOT / ".tools" / "screenshots"
SCHEMES = ("light", "dark")
SIZES = {"desktop": (1280, 900), "phone": (390, 844)}

# What is asked of a page that is loaded.
INSPECT = """
() => {
  const faults = [];
  for (const image of document.images)
    if (image.complete && image.naturalWidth === 0) faults.push(`missing image ${image.src}`);
  const root = document.documentElement;
  if (root.scrollWidth > window.innerWidth) {
    const wide = [...document.querySelectorAll("body *")].find(
      (each) => each.getBoundingClientRect().right > window.innerWidth + 1
        && getComputedStyle(each).position !== "fixed"
    );
    const name = wide ? `${wide.tagName} .${wide.className} ${wide.textContent.trim().slice(0, 40)}` : "";
    faults.push(`${root.scrollWidth} pixels wide: ${name}`);
  }
  for (const diagram of document.querySelectorAll("pre.mermaid")) faults.push("a diagram is not drawn");
  for (const diagram of document.querySelectorAll("div.mermaid"))
    if (diagram.getBoundingClientRect().height < 20) faults.push("an empty diagram");

  const parse = (text) => {
    const numbers = text.match(/[\\d.]+/g).map(Number);
    const scale = text.startsWith("color(") ? 255 : 1;
    return [numbers[0] * scale, numbers[1] * scale, numbers[2] * scale, numbers[3] ?? 1];
  };
  const over = (top, bottom) => [
    ...[0, 1, 2].map((index) => top[index] * top[3] + bottom[index] * (1 - top[3])),
    1,
  ];
  const luminance = (color) => {
    const [r, g, b] = color.slice(0, 3).map((value) => {
      const part = value / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const background = (element) => {
    const layers = [];
    for (let each = element; each; each = each.parentElement) {
      const color = parse(getComputedStyle(each).backgroundColor);
      if (color[3] > 0) layers.push(color);
      if (color[3] === 1) break;
    }
    return layers.reduceRight((bottom, top) => over(top, bottom), [255, 255, 255, 1]);
  };
  const seen = new Set();
  const walker = document.createTreeWalker(document.querySelector("article") ?? document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !element.getClientRects().length) continue;
    if (element.closest(".headerlink, .md-clipboard, script, style")) continue;
    const style = getComputedStyle(element);
    if (style.opacity !== "1" || style.visibility !== "visible") continue;
    const behind = background(element);
    const front = over(parse(style.color), behind);
    const [high, low] = [luminance(front), luminance(behind)].sort((a, b) => b - a);
    const contrast = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const key = `${style.color} on ${behind.slice(0, 3).map(Math.round)}`;
    if (contrast < (large ? 3 : 4.5) && !seen.has(key)) {
      seen.add(key);
      const text = walker.currentNode.textContent.trim().slice(0, 30);
      faults.push(`contrast of ${contrast.toFixed(1)}: ${key} (${element.tagName} .${element.className}: ${text})`);
    }
  }
  return faults;
}
"""

ANCHORS = """
() => ({
  ids: [...document.querySelectorAll("[id], a[name]")].map((each) => each.id || each.name),
  links: [...document.querySelectorAll("a[href]")].map((each) => each.href),
})
"""


class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Keep the terminal free."""


@contextmanager
def serving() -> Iterator[str]:
    """Serve the site on a free port of the loopback interface."""
    handler = functools.partial(Handler, directory=str(SITE))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Reader:
    """One way of reading the site: a colour scheme and a size of the window."""

    def __init__(self, browser: Browser, base: str, scheme: str, size: str) -> None:
        width, height = SIZES[size]
        self.name = f"{scheme}, {size}"
        self._suffix = f"-{scheme}-{size}.png"
        self._base = base
        self._faults: list[str] = []
        context = browser.new_context(
            color_scheme=scheme,
            viewport={"width": width, "height": height},
        )
        self._page = context.new_page()
        self._page.on("request", self._on_request)
        self._page.on("requestfailed", self._on_failure)
        self._page.on("console", self._on_console)
        self._page.on("pageerror", lambda error: self._add(f"script: {error}"))

    def _add(self, fault: str) -> None:
        self._faults.append(fault)

    def _on_request(self, request: Request) -> None:
        if not request.url.startswith((self._base, "data:", "blob:")):
            self._add(f"request to {request.url}")

    def _on_failure(self, request: Request) -> None:
        # Leaving a page cancels what it still loads.
        if request.failure != "net::ERR_ABORTED":
            self._add(f"failed: {request.url} ({request.failure})")

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._add(f"console: {message.text} {message.location['url']}")

    def read(self, name: str) -> tuple[list[str], dict[str, list[str]]]:
        """Load a page; return what is wrong with it, and its anchors and links."""
        self._faults = []
        self._page.goto(urljoin(self._base, name), wait_until="load")
        self._page.wait_for_function("!document.querySelector('pre.mermaid')", timeout=20_000)
        self._faults += self._page.evaluate(INSPECT)
        file = (name.strip("/").replace("/", "-") or "home") + self._suffix
        self._page.screenshot(path=SCREENSHOTS / file)
        return self._faults, self._page.evaluate(ANCHORS)


def check(browser: Browser, base: str, names: list[str]) -> Iterator[str]:
    """Load all pages in all ways, and return what is wrong."""
    anchors: dict[str, dict[str, list[str]]] = {}
    for scheme in SCHEMES:
        for size in SIZES:
            reader = Reader(browser, base, scheme, size)
            for name in names:
                faults, anchors[urljoin(base, name)] = reader.read(name)
                for fault in faults:
                    yield f"{name or 'home'} ({reader.name}): {fault}"
    for url, found in anchors.items():
        for target in found["links"]:
            page_url, fragment = urldefrag(target)
            if fragment and page_url in anchors and fragment not in anchors[page_url]["ids"]:
                yield f"{urlsplit(url).path}: no anchor {target.removeprefix(base)}"


def main(names: list[str]) -> int:
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print(
            "The pages are not loaded: Chromium is not installed (Debian: apt-get install chromium)"
        )
        return 1 if os.environ.get("CI") else 0
    shutil.rmtree(SCREENSHOTS, ignore_errors=True)
    SCREENSHOTS.mkdir(parents=True)
    names = names or sorted(
        f"{path.parent.relative_to(SITE)}/".removeprefix("./") for path in SITE.rglob("index.html")
    )
    with serving() as base, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        faults = list(dict.fromkeys(check(browser, base, names)))
        browser.close()
    for fault in faults:
        print(fault)
    print(
        f"{len(names)} pages, each in light and dark, on a desktop and a phone: {len(faults)} faults"
    )
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
