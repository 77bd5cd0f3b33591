"""Copy chosen front-end files of npm packages into the tree, so that installing needs no npm.

``assets/package.json`` names exact versions, ``assets/package-lock.json`` their integrity. Each
package's files and licence land in ``web/static/vendor/<package>-<version>/`` (axe-core, which
only tests load, in ``tests/data/axe/``), the icons in one sprite. ``vendor.json`` beside them
holds the SHA-256 of every file; a test recomputes them.
"""

import hashlib
import json
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ASSETS = ROOT / "assets"
MODULES = ASSETS / "node_modules"
VENDOR = ROOT / "web" / "static" / "vendor"
AXE = ROOT / "tests" / "data" / "axe"

# package -> files to copy, each under its own base name
FILES = {
    "@fontsource-variable/inter": [
        "files/inter-latin-wght-normal.woff2",
        "files/inter-latin-ext-wght-normal.woff2",
        "LICENSE",
    ],
    "@tabler/core": ["dist/css/tabler.min.css"],
    "htmx.org": ["dist/htmx.min.js", "LICENSE"],
}

ICONS = (
    "activity",
    "adjustments-horizontal",
    "alert-triangle",
    "arrow-left",
    "arrow-right",
    "ban",
    "bell",
    "bolt",
    "calendar",
    "chart-line",
    "check",
    "chevron-down",
    "chevron-right",
    "circle-check",
    "circle-dashed",
    "circle-x",
    "clock",
    "database",
    "device-desktop",
    "download",
    "eye-off",
    "file-import",
    "file-text",
    "filter",
    "history",
    "home",
    "info-circle",
    "key",
    "lock",
    "list-check",
    "login",
    "logout",
    "menu-2",
    "moon",
    "package",
    "player-pause",
    "player-play",
    "plus",
    "refresh",
    "report",
    "rocket",
    "search",
    "server",
    "settings",
    "shield-check",
    "shield-exclamation",
    "stack-2",
    "sun",
    "trash",
    "upload",
    "user",
    "users",
    "world",
    "x",
)

TABLER_LICENCE_YEARS = re.compile(r"Copyright [^\n]*")


def main() -> None:
    """Install by the lock file, then copy."""
    subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=ASSETS, check=True)  # noqa: S607 -- a developer's npm
    shutil.rmtree(VENDOR, ignore_errors=True)
    for package, files in FILES.items():
        folder = _folder(package)
        folder.mkdir(parents=True)
        for name in files:
            shutil.copyfile(MODULES / package / name, folder / Path(name).name)
    _licence_of_tabler(_folder("@tabler/core"))
    _sprite(_folder("@tabler/icons"))
    _record(VENDOR)
    shutil.rmtree(AXE, ignore_errors=True)
    AXE.mkdir(parents=True)
    for name in ("axe.min.js", "LICENSE"):
        shutil.copyfile(MODULES / "axe-core" / name, AXE / name)
    (AXE / "SOURCE.md").write_text(
        f"axe-core {_version('axe-core')}, MPL-2.0, copied by assets/vendor.py; "
        "loaded by the browser tests only.\n",
        encoding="utf-8",
    )


def _version(package: str) -> str:
    found = json.loads((MODULES / package / "package.json").read_text(encoding="utf-8"))["version"]
    return str(found)


def _folder(package: str) -> Path:
    return VENDOR / f"{package.removeprefix('@').replace('/', '-')}-{_version(package)}"


def _licence_of_tabler(folder: Path) -> None:
    """Write the licence that Tabler's package names: MIT, with the holders its stylesheet names."""
    head = (folder / "tabler.min.css").read_text(encoding="utf-8")[:400]
    holders = TABLER_LICENCE_YEARS.findall(head)
    terms = (MODULES / "@tabler/icons" / "LICENSE").read_text(encoding="utf-8")
    text = re.sub(r"Copyright \(c\) [^\n]*", "\n".join(holders), terms)
    (folder / "LICENSE").write_text(text, encoding="utf-8")


def _sprite(folder: Path) -> None:
    """Put the chosen icons in one file, each as a symbol of its own name."""
    folder.mkdir(parents=True)
    symbols = [
        f'<symbol id="{name}" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
        'stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round">'
        f"{_shapes(name)}</symbol>"
        for name in sorted(ICONS)
    ]
    text = '<svg xmlns="http://www.w3.org/2000/svg">\n' + "\n".join(symbols) + "\n</svg>\n"
    (folder / "sprite.svg").write_text(text, encoding="utf-8")
    shutil.copyfile(MODULES / "@tabler/icons" / "LICENSE", folder / "LICENSE")


def _shapes(name: str) -> str:
    text = (MODULES / "@tabler/icons/icons/outline" / f"{name}.svg").read_text(encoding="utf-8")
    inner = text.split(">", 1)[1].rsplit("</svg>", 1)[0]
    shapes = re.findall(r"<[a-z]+ [^>]*/>", inner)
    return "".join(shape for shape in shapes if 'stroke="none"' not in shape)


def _record(folder: Path) -> None:
    found = {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
    (folder / "vendor.json").write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
