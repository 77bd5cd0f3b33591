"""`patchmgr feeds export` and `feeds import`, as people on both sides of a gap call them."""

import json
import re

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.cli.app import App

TRACKER = {
    "openssl": {
        "CVE-2026-1000": {
            "releases": {
                "bookworm": {"status": "resolved", "fixed_version": "1.2-3", "urgency": "high"}
            }
        }
    }
}


def at(home):
    """Return what runs a command with ``home``; it gives exit code, output and errors."""

    def call(*arguments):
        app = App({"PATCHMGR_HOME": str(home)})
        result = CliRunner().invoke(main, [str(each) for each in arguments], obj=app)
        assert result.exception is None or isinstance(result.exception, SystemExit)
        return result.exit_code, result.stdout, result.stderr

    return call


@pytest.fixture
def there(tmp_path):
    run, tracker = at(tmp_path / "there"), tmp_path / "tracker.json"
    tracker.write_text(json.dumps(TRACKER))
    assert run("feeds", "sync", "debian", "--from", tracker)[0] == 0
    return run


@pytest.fixture
def here(tmp_path):
    return at(tmp_path / "here")


def fingerprint(run):
    return run("reports", "key")[1].splitlines()[-1]


def test_a_bundle_goes_over_and_is_shown(there, here, tmp_path):
    path = tmp_path / "feeds.zip"

    code, out, err = there("feeds", "export", path)
    assert (code, err) == (0, "")
    first, last = out.splitlines()
    assert re.fullmatch(r"debian: as of \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ, 1 advisories", first)
    assert last == f"wrote {path}: 0.0 MB, signed by {fingerprint(there)}"

    code, out, err = here("feeds", "import", path)
    assert (code, out) == (1, "")
    assert err.endswith(f"then add: --trust {fingerprint(there)}\n")

    code, out, err = here("feeds", "import", path, "--key", fingerprint(there), "--dry-run")
    assert (code, err) == (0, "")
    assert out.splitlines()[-1] == "nothing was changed (--dry-run)"

    code, out, err = here("feeds", "import", path, "--trust", fingerprint(there))
    assert (code, err) == (0, "")
    assert re.split("  +", out.splitlines()[1]) == [
        "FEED",
        "WAS AS OF",
        "AS OF",
        "NEW",
        "CHANGED",
        "WITHDRAWN",
        "UNCHANGED",
    ]
    assert out.splitlines()[2].split()[-4:] == ["1", "0", "0", "0"]
    assert out.splitlines()[-1] == "imported"

    (status,) = (
        each
        for each in json.loads(here("feeds", "status", "--json")[1])
        if each["name"] == "debian"
    )
    assert (status["state"], status["advisories"], status["fixes"]) == ("ok", 1, 1)
    assert status["bundle"] >= status["last_sync"]


def test_both_commands_speak_json(there, here, tmp_path):
    path = tmp_path / "feeds.zip"

    made = json.loads(there("feeds", "export", path, "--json")[1])
    shown = here("feeds", "import", path, "--key", made["fingerprint"], "--dry-run", "--json")
    taken = here("feeds", "import", path, "--key", made["fingerprint"], "--json")

    assert made["bytes"] == path.stat().st_size
    assert [(each["feed"], each["counts"]) for each in made["feeds"]] == [
        ("debian", {"advisory": 1})
    ]
    shown, taken = json.loads(shown[1]), json.loads(taken[1])
    assert (shown.pop("applied"), taken.pop("applied")) == (False, True)
    assert shown == taken
    (debian,) = taken["feeds"]
    assert (debian["feed"], debian["new"], debian["was_as_of"]) == ("debian", 1, None)


@pytest.mark.parametrize("cut", [0, 10, 100, -1])
def test_what_is_no_whole_bundle_is_bad_input(there, here, tmp_path, cut):
    path = tmp_path / "feeds.zip"
    there("feeds", "export", path)
    path.write_bytes(path.read_bytes()[:cut])

    code, out, err = here("feeds", "import", path, "--key", fingerprint(there))

    assert (code, out) == (2, "")
    assert err.startswith(f"patchmgr: {path}: ")
    assert len(err.splitlines()) == 1


def test_an_export_is_never_written_over_another(there, tmp_path):
    path = tmp_path / "feeds.zip"
    path.write_text("mine")

    assert there("feeds", "export", path) == (
        1,
        "",
        f"patchmgr: {path} exists; a bundle is never written over\n",
    )
    assert path.read_text() == "mine"
