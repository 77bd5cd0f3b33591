"""An installed wheel can do what a checkout can: it has its migrations, pages and styles."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TREE = ("patchmgr", "web", "inventory", "migrations", "pyproject.toml", "README.md", "CHANGELOG.md")


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A fresh environment with the wheel in it; what it depends on is borrowed from this one."""
    tree, home = tmp_path_factory.mktemp("tree"), tmp_path_factory.mktemp("environment")
    for name in TREE:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree)
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel"]
    subprocess.run(command, check=True, capture_output=True, cwd=tree)
    (wheel,) = (tree / "dist").glob("*.whl")
    venv.create(home, with_pip=False)
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(home)}))
    zipfile.ZipFile(wheel).extractall(packages)
    (packages / "borrowed.pth").write_text(sysconfig.get_path("purelib"))
    return home / "bin" / "python", packages


def test_it_makes_a_database_of_its_own(installed, tmp_path):
    python, packages = installed
    environ = {"PATH": os.environ["PATH"], "PATCHMGR_HOME": str(tmp_path)}

    where = subprocess.run(
        [python, "-c", "from patchmgr.db import migrate; print(migrate.MIGRATIONS)"],
        check=True,
        capture_output=True,
        cwd=tmp_path,
        text=True,
    ).stdout.strip()
    done = subprocess.run(
        [python, "-m", "patchmgr", "db", "upgrade"],
        check=False,
        capture_output=True,
        cwd=tmp_path,
        env=environ,
        text=True,
    )

    assert Path(where) == packages / "patchmgr" / "_migrations"
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "patchmgr.db").exists()


def test_it_brings_every_file_that_is_not_code(installed):
    _python, packages = installed

    for package in ("patchmgr", "web", "inventory"):
        ours = {
            path.relative_to(ROOT)
            for path in (ROOT / package).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts
        }
        theirs = {path.relative_to(packages) for path in (packages / package).rglob("*")}
        assert ours <= theirs
