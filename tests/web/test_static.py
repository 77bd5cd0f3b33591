"""Static files are what they were when vendored, and are cached for ever."""

import gzip
import hashlib
import json
from pathlib import Path

import pytest

from web.static_files import FOLDER, VENDORED, digest

VENDOR = FOLDER / "vendor"
ASSETS = Path(__file__).parents[2] / "assets"
REGISTRIES = ("npmjs.", "unpkg.", "jsdelivr.", "cdnjs.")


def test_vendored_files_are_the_ones_recorded():
    recorded = json.loads((VENDOR / "vendor.json").read_text(encoding="utf-8"))

    found = {
        path.relative_to(VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in VENDOR.rglob("*")
        if path.is_file() and path.name != "vendor.json"
    }

    assert found == recorded


def test_every_vendored_package_has_its_licence_and_its_locked_version():
    locked = json.loads((ASSETS / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    versions = {
        name.removeprefix("node_modules/").removeprefix("@").replace("/", "-"): one["version"]
        for name, one in locked.items()
        if name
    }

    for folder in [path for path in VENDOR.iterdir() if path.is_dir()]:
        name, _, version = folder.name.rpartition("-")
        assert versions[name] == version
        assert (folder / "LICENSE").is_file()


def test_the_lock_file_names_no_registry():
    lock = (ASSETS / "package-lock.json").read_text(encoding="utf-8")

    assert "resolved" not in lock
    assert not [name for name in REGISTRIES if name in lock]


def test_no_page_part_comes_from_elsewhere():
    for path in [*FOLDER.rglob("*.css"), *FOLDER.rglob("*.js")]:
        text = path.read_text(encoding="utf-8")
        assert "@import" not in text, path
        assert not [name for name in REGISTRIES if name in text], path


@pytest.mark.parametrize("name", [*VENDORED.values(), "app.css", "app.js", "theme.js"])
def test_a_file_is_addressed_by_its_content_and_kept(client, name):
    browser = client(None)

    answer = browser.get(f"/static/{name}?v={digest(name)}", headers={"Accept-Encoding": "gzip"})

    body = gzip.decompress(answer.data) if answer.content_encoding == "gzip" else answer.data
    assert body == (FOLDER / name).read_bytes()
    assert "immutable" in answer.headers["Cache-Control"]


@pytest.mark.parametrize("name", ["../app.py", "%2e%2e/app.py", "vendor", "nothing.css"])
def test_nothing_else_is_served(client, name):
    assert client(None).get(f"/static/{name}").status_code == 404
