"""``patchmgr simulate`` and ``patchmgr plans forecast``, as people and checkers call them."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from patchmgr.cli import main
from patchmgr.domain.simulation.lines import ALL_KINDS
from patchmgr.domain.simulation.reading import WORDS, scenario_from_json

DOCS = Path(__file__).parents[2] / "docs" / "simulation.md"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.setenv("PATCHMGR_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)

    def call(*words):
        result = CliRunner().invoke(main, list(words))
        return result.exit_code, result.stdout, result.stderr

    return call


@pytest.fixture
def example(tmp_path):
    """The scenario that the documentation shows."""
    (text,) = re.findall(r"```toml\n(.*?)```", DOCS.read_text(), re.DOTALL)
    path = tmp_path / "example.toml"
    path.write_text(text)
    return path


def test_the_documented_scenario_plays(run, example, tmp_path):
    code, log, _ = run("simulate", "--scenario", str(example), "--json", "--picture", "out.svg")
    lines = [json.loads(line) for line in log.splitlines()]

    assert code == 0
    assert list(lines[0]) == ["time", "plan", "ring", "host", "group", "kind", "reason"]
    assert lines[-1]["kind"] == "ended"
    assert (tmp_path / "out.svg").read_text().startswith("<svg ")
    assert run("simulate", "--scenario", str(example), "--json")[1] == log
    assert run("simulate", "--scenario", str(example), "--json", "--seed", "8")[1] != log


def test_people_get_a_time_line_and_totals(run, example):
    code, said, _ = run("simulate", "--scenario", str(example))

    assert code == 0
    assert "canary ring started" in said
    assert "broad db2 failed: openssl" in said
    assert re.search(r"^broad +121 ", said, re.MULTILINE)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("start = 3", "start"),
        ("start = ", "cannot be read"),
        ('start = "2026-01-01T00:00:00Z"\n[[hosts]]\nname = "a"\nwindow = "w"', "hosts[0].window"),
        ("[" * 5000, "cannot be read"),
    ],
)
def test_a_bad_scenario_is_refused_with_the_path_of_the_field(run, tmp_path, text, complaint):
    path = tmp_path / "bad.toml"
    path.write_text(text)
    code, out, error = run("simulate", "--scenario", str(path))

    assert (code, out) == (2, "")
    assert complaint in error


def test_one_of_scenario_and_plan_is_needed(run, example):
    assert run("simulate")[0] == 2
    assert run("simulate", "1", "--scenario", str(example))[0] == 2


def test_what_is_documented_is_what_there_is():
    words = set(re.findall(r"`(\w+)`", DOCS.read_text()))

    assert set(ALL_KINDS) <= words
    assert set(WORDS) <= words
    assert scenario_from_json({"start": "2026-01-01T00:00:00Z", "hosts": [{"name": "a"}]}).seed == 0
