"""The presets say what their sources say."""

import csv
from itertools import product
from pathlib import Path

import pytest

from patchmgr.domain.advisories import Severity
from patchmgr.domain.flaws import Danger
from patchmgr.domain.urgency import Clock, Inputs, decide, from_json, to_json
from patchmgr.domain.urgency_presets import PRESETS

TABLE = Path(__file__).parents[1] / "data" / "policies" / "cisa_bod_26_04_1_0_0.csv"
BOD = PRESETS["cisa-bod-26-04"]
YES_NO = {"yes": True, "no": False, "": None}
EXPOSURE = {"yes": "public", "no": "internal", "": ""}


def published():
    """The rows of CERT/CC's table: (row, four inputs, outcome)."""
    with TABLE.open(newline="") as file:
        rows = list(csv.reader(file))[1:]
    return [(row[0], tuple(row[1:5]), row[5]) for row in rows]


def decided(kev, exposed, automatable, impact):
    danger = Danger(kev=YES_NO[kev], automatable=automatable, impact=impact)
    return decide(BOD, Inputs(Severity.LOW, danger, EXPOSURE[exposed]))


@pytest.mark.parametrize(("number", "values", "outcome"), published())
def test_bod_26_04_decides_as_the_published_table_by_the_row_of_that_number(
    number, values, outcome
):
    row = decided(*values)

    assert row.id == f"bod-26-04-{number}"
    assert row.label.lower() == outcome
    assert row.days == (int(outcome.split()[0]) if outcome[0].isdigit() else None)


def completions(values):
    choices = (("yes", "no"), ("yes", "no"), ("yes", "no"), ("partial", "total"))
    return product(
        *((value,) if value else choice for value, choice in zip(values, choices, strict=True))
    )


@pytest.mark.parametrize(
    "values",
    [v for v in product(*[("yes", "no", "")] * 3, ("partial", "total", "")) if "" in v],
    ids=lambda values: "-".join(value or "unknown" for value in values),
)
def test_where_something_is_not_known_the_latest_day_of_what_it_could_be_holds(values):
    outcomes = {tuple(inputs): outcome for _, inputs, outcome in published()}
    possible = [outcomes[each] for each in completions(values)]
    days = [int(each.split()[0]) if each[0].isdigit() else None for each in possible]

    assert decided(*values).days == (None if None in days else max(days))


@pytest.mark.parametrize(
    ("name", "severity", "cvss", "days"),
    [
        ("pci-dss-6.3.3", Severity.CRITICAL, 0, 30),
        ("pci-dss-6.3.3", Severity.HIGH, 0, 30),
        ("pci-dss-6.3.3", Severity.MEDIUM, 98, 90),
        ("cyber-essentials", Severity.CRITICAL, 0, 14),
        ("cyber-essentials", Severity.HIGH, 0, 14),
        ("cyber-essentials", Severity.UNKNOWN, 0, 14),
        ("cyber-essentials", Severity.LOW, 70, 14),
        ("cyber-essentials", Severity.MEDIUM, 69, None),
    ],
)
def test_presets_that_count_from_release(name, severity, cvss, days):
    policy = PRESETS[name]

    assert decide(policy, Inputs(severity, Danger(cvss=cvss))).days == days
    assert policy.clock is Clock.PUBLISHED


@pytest.mark.parametrize("policy", PRESETS.values(), ids=PRESETS.keys())
def test_every_preset_survives_being_written_and_read(policy):
    assert from_json(to_json(policy)) == policy
