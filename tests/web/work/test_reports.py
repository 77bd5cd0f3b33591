"""Reports made in the console: kept, verified, downloaded."""

import pytest


@pytest.fixture
def report(works, operator):
    answer = operator.post("/reports", data={"format": ["csv", "json"]})
    assert answer.status_code == 303, answer.text
    return answer.location


def test_a_report_is_made_listed_and_verified(operator, report):
    page = operator.get(report).text

    assert "every file is as it was signed" in page
    assert "0 of 4" in page
    assert report in operator.get("/reports").text


def test_its_files_can_be_had_with_their_manifest(operator, report):
    assert operator.get(f"{report}/files/compliance.json").json["headline"]["hosts"] == 4
    assert operator.get(f"{report}/files/manifest.json").status_code == 200
    assert operator.get(f"{report}/files/patchmgr.db").status_code == 404


def test_a_changed_file_shows(works, operator, report):
    file = next(works.settings.reports.glob("*/*.csv"))
    file.write_text("nothing to see", encoding="utf-8")

    page = operator.get(report).text

    assert "Not verified" in page
    assert "Changed" in page


def test_files_that_are_gone_are_said_to_be(works, operator, report):
    for path in works.settings.reports.glob("*/manifest.json"):
        path.unlink()

    assert "no longer where they were kept" in operator.get(report).text


@pytest.mark.parametrize(
    ("data", "said"),
    [({}, "at least one"), ({"format": "csv", "at": "yesterday"}, "is no time")],
)
def test_what_is_wrong_stands_in_the_form(works, operator, data, said):
    answer = operator.post("/reports", data=data)

    assert answer.status_code == 422
    assert said in answer.text
