"""``make screenshots``: every page of the demo in light, dark and at 390 px, into a folder.

The pages are found by following the console's own links, one for each endpoint. A page that does
not answer well is named at the end.
"""

import os
import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Page, sync_playwright
from served import Served, served_demo  # beside this file

from patchmgr import config
from web.app import create_app

CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium")
LOOKS = {
    "light": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1440, "height": 900}, "color_scheme": "dark"},
    "390": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light"},
}
SETTINGS = config.Settings(home=Path(), database_url="", secret_key="only the routes are read")
FILES = r"\.(csv|ics|json|py|sh|zip|yml)$|/files/"  # a host's name may end in a dot and letters too
LEFT_OUT = re.compile(rf"^/(static|api|healthz|readyz|metrics|sign-out)\b|{FILES}|/download$")


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with served_demo() as demo, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        pages: dict[str, str] = {}
        bad: list[str] = []
        for look, options in LOOKS.items():
            page = signed_in(browser, demo, options, folder / f"sign-in-{look}.png")
            pages = pages or found(page, demo.address)
            for endpoint, path in pages.items():
                answer = page.goto(demo.address + path, wait_until="networkidle")
                if not answer.ok:
                    bad.append(f"{path}: {answer.status}")
                page.screenshot(path=folder / f"{endpoint}-{look}.png", full_page=True)
        browser.close()
    print(f"{len(pages)} pages in {folder}/")
    if bad:
        sys.exit("\n".join(bad))


def signed_in(browser: Browser, demo: Served, options: dict[str, object], first: Path) -> Page:
    """Return a page signed in as admin; the sign-in form is shot as ``first``."""
    page = browser.new_context(**options).new_page()
    page.goto(demo.address)
    page.screenshot(path=first)
    page.get_by_label("Name").fill("admin")
    page.get_by_label("Password").fill(demo.password)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(lambda url: "sign-in" not in url)
    return page


def found(page: Page, address: str) -> dict[str, str]:
    """Follow links from the overview; return the first path of each endpoint, as it was found."""
    routes = create_app(None, SETTINGS, lambda: None).url_map.bind("")
    kinds: dict[str, str] = {}
    queue = ["/"]
    while queue:
        path = queue.pop(0)
        endpoint = routes.match(path, return_rule=True)[0].endpoint.replace(".", "-")
        if endpoint in kinds:
            continue
        kinds[endpoint] = path
        page.goto(address + path)
        links = page.eval_on_selector_all(
            "a[href]:not([download])",  # also those in drawings, whose href is no text
            "links => links.map(each => new URL(each.getAttribute('href'), location.href).href)",
        )
        paths = {urlsplit(link).path: None for link in links if link.startswith(address)}
        queue += [path for path in paths if not LEFT_OUT.search(path)]
    return kinds


if __name__ == "__main__":
    main(Path(sys.argv[1]))
