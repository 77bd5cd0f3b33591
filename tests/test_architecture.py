"""Promises about the tree itself: its contracts hold, and would be missed if they did not."""

import ast
import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import MISSING, fields
from pathlib import Path

import click
import pytest

from patchmgr import config
from patchmgr.cli import main
from patchmgr.feeds import FEEDS

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("patchmgr", "web", "inventory")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
CONTRACTS = {each["id"]: each for each in PROJECT["tool"]["importlinter"]["contracts"]}

# Each contract, and a line of code in a file of its own that breaks it.
PLANTED = {
    "layers": ("patchmgr/domain/planted.py", "import patchmgr.services.audit"),
    "pure-domain": ("patchmgr/domain/planted.py", "import time"),
    "vendors-read": ("patchmgr/feeds/vendors/planted.py", "import requests"),
    "schemes": ("patchmgr/domain/versions/planted.py", "import patchmgr.domain.versions.dpkg"),
    "vendors": ("patchmgr/feeds/vendors/planted.py", "import patchmgr.feeds.vendors.debian"),
    "managers": ("inventory/managers/planted.py", "import inventory.managers.dpkg"),
    "web-reads": ("web/planted.py", "import patchmgr.db.models"),
    "inventory-reads": ("inventory/planted.py", "import patchmgr.feeds.crawl"),
    "flask": ("patchmgr/services/planted.py", "import flask"),
    "scheduler": ("patchmgr/services/planted.py", "import apscheduler.schedulers.background"),
}


@pytest.mark.parametrize("name", PACKAGES)
def test_the_packages_are_ours(name):
    where = subprocess.run(
        [sys.executable, "-c", f"import {name}; print({name}.__file__)"],
        capture_output=True,
        check=True,
        cwd="/",
        text=True,
    ).stdout.strip()

    assert Path(where) == ROOT / name / "__init__.py"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the tree, to plant things in."""
    tree = tmp_path_factory.mktemp("tree")
    ignore = shutil.ignore_patterns("__pycache__", "static")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, tree / name, ignore=ignore)
    shutil.copy(ROOT / "pyproject.toml", tree)
    return tree


def lint(tree, *contract):
    """Check the import contracts in ``tree``; return whether they hold, and what was said."""
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports"), *contract],
        capture_output=True,
        check=False,
        cwd=tree,
        env={"PYTHONPATH": str(tree), "NO_COLOR": "1", "COLUMNS": "200"},
        text=True,
    )
    return done.returncode == 0, done.stdout + done.stderr


def test_the_import_contracts_hold(copy):
    holds, said = lint(copy)

    assert holds, said


@pytest.mark.parametrize("contract", PLANTED)
def test_a_broken_contract_is_noticed(copy, contract):
    where, line = PLANTED[contract]
    file = copy / where
    file.write_text(f'"""Planted."""\n\n{line}\n')

    holds, said = lint(copy, "--contract", contract)
    file.unlink()

    assert not holds
    assert f"{CONTRACTS[contract]['name']} BROKEN" in said


def test_every_contract_is_tried():
    assert set(PLANTED) == set(CONTRACTS)


def test_every_module_has_its_layer():
    named = {
        name.strip() for layer in CONTRACTS["layers"]["layers"] for name in layer.split("|")
    } | {"patchmgr.__main__"}
    found = {
        f"patchmgr.{path.stem}"
        for path in (ROOT / "patchmgr").iterdir()
        if (path.is_dir() and (path / "__init__.py").exists()) or path.suffix == ".py"
    } - {"patchmgr.__init__"}

    assert found <= named


def test_dependencies_are_what_is_imported():
    requirement = re.compile(r"[A-Za-z0-9-]+")
    declared = {
        requirement.match(line).group().lower()
        for line in PROJECT["project"]["dependencies"]
        + PROJECT["project"]["optional-dependencies"]["pdf"]
    }
    names = importlib.metadata.packages_distributions()
    imported = {
        names.get(module, [module])[0].lower().replace("_", "-")
        for package in (*PACKAGES, "migrations")
        for file in (ROOT / package).rglob("*.py")
        for module in imports(file)
        if module not in sys.stdlib_module_names and module not in PACKAGES
    }

    # tzdata is read by zoneinfo, weasyprint is optional, the others of the two come with theirs
    assert declared - imported <= {"tzdata", "weasyprint", "psycopg"}
    assert imported <= declared


def imports(file: Path) -> Iterator[str]:
    """Yield the top-level names of what ``file`` imports."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def test_the_readme_lists_the_commands_as_they_are():
    (listed,) = re.findall(r"```commands\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)

    assert listed == "".join(f"{line}\n" for line in commands(main, "patchmgr"))


def commands(group: click.Group, path: str) -> Iterator[str]:
    """Yield each command with its arguments and first line of help, as the README has them."""
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        usage = [path, name]
        if not isinstance(command, click.Group):
            usage += command.collect_usage_pieces(click.Context(command))[
                1:
            ]  # [OPTIONS] comes first
        if not isinstance(command, click.Group) or command.invoke_without_command:
            yield f"{' '.join(usage):46} {command.get_short_help_str(limit=200)}"
        if isinstance(command, click.Group):
            yield from commands(command, f"{path} {name}")


def test_every_setting_is_documented_with_its_default():
    rows = re.findall(
        r"^\| `PATCHMGR_(\w+)` \| (?:`(.*?)`|([^|]*?)) \|",
        (ROOT / "docs" / "settings.md").read_text(),
        re.MULTILINE,
    )
    documented = {name.lower(): default for name, default, _prose in rows if name != "CONFIG"}
    real = {
        field.name: "" if field.default is MISSING else str(field.default).lower()
        for field in fields(config.Settings)
        if field.name not in config.BY_FEED
    }

    assert documented == real


def test_every_feed_is_documented():
    text = (ROOT / "docs" / "feeds.md").read_text()

    assert re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE) == sorted(FEEDS)


def test_the_settings_of_single_feeds_are_documented():
    text = (ROOT / "docs" / "settings.md").read_text()

    assert re.findall(r"^\| `PATCHMGR_<FEED>_(\w+)` \|", text, re.MULTILINE) == ["URL", "HOURS"]


def tracked() -> list[str]:
    """Return the text files of the repository, without other people's data and code."""
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard"],
        capture_output=True,
        check=True,
        cwd=ROOT,
        text=True,
    ).stdout.split("\n")
    return [
        name
        for name in listed
        if name
        and not name.startswith(("tests/data/", "web/static/vendor/"))
        and (ROOT / name).is_file()
        and Path(name).suffix not in (".png", ".woff2", ".gz", ".xz", ".zst", ".ico")
    ]


FOREIGN = re.compile(
    "|".join(
        [
            r"/(?:work|root)/\w",  # a path of somebody's machine
            re.escape("pypi." + "org"),
            re.escape("python" + "hosted"),
            re.escape("registry." + "npmjs"),
            re.escape("--" + "index-url"),
            re.escape("--" + "find-links"),
        ]
    )
)


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="looks at what git tracks")
def test_no_file_names_a_registry_or_a_machine():
    found = {
        f"{name}:{number}: {line.strip()}"
        for name in tracked()
        for number, line in enumerate(
            (ROOT / name).read_text(errors="replace").splitlines(), start=1
        )
        if FOREIGN.search(line)
    }

    assert found == set()
