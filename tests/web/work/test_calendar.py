"""Windows and freezes in the console."""

import pytest

WINDOW = {
    "name": "saturday-night",
    "rrule": "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22",
    "duration": "4h",
    "zone": "Europe/Vienna",
}
FREEZE = {
    "name": "Year end",
    "starts": "2026-12-20T00:00",
    "until": "2027-01-06T00:00",
    "reason": "Nobody is here.",
}


def test_a_window_shows_when_it_opens_next(works, operator):
    operator.post("/calendar/windows", data=WINDOW)

    page = operator.get("/calendar").text
    assert "saturday-night" in page
    assert "Saturday, 7 March" in page
    assert "21:00" in page  # 22:00 in Vienna


def test_a_window_is_said_in_words_and_shows_its_rule_on_hover(works, operator):
    operator.post("/calendar/windows", data=WINDOW)

    page = operator.get("/calendar").text
    assert "Saturdays 22:00 for 4 h, Europe/Vienna</span>" in page
    assert 'data-exact="FREQ=WEEKLY;BYDAY=SA;BYHOUR=22"' in page


def test_all_that_is_wrong_with_a_window_is_said_at_once(works, operator):
    answer = operator.post(
        "/calendar/windows", data={**WINDOW, "rrule": "FREQ=SOMETIMES", "duration": "long"}
    )

    assert answer.status_code == 422
    assert "needs FREQ=" in answer.text
    assert "is not a duration" in answer.text
    assert 'value="saturday-night"' in answer.text


def test_a_rule_without_words_is_shown_as_it_is_written(works, operator):
    operator.post("/calendar/windows", data={**WINDOW, "rrule": "FREQ=HOURLY;INTERVAL=6"})

    assert "FREQ=HOURLY;INTERVAL=6</span> for 4 h, Europe/Vienna" in operator.get("/calendar").text


def test_a_freeze_is_listed_until_it_is_over(works, operator, clock):
    operator.post("/calendar/freezes", data=FREEZE)
    assert "Year end" in operator.get("/calendar").text

    clock.at = clock.at.replace(year=2028)

    assert "Nobody is here." not in operator.get("/reports").text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"rrule": "FREQ=SOMETIMES"}, "needs FREQ="),
        ({"duration": "long"}, "is not a duration"),
        ({"zone": "Mars/Olympus"}, "is no IANA time zone"),
        ({"name": ""}, "64 "),
    ],
)
def test_what_is_wrong_with_a_window_stands_at_its_field(works, operator, change, said):
    answer = operator.post("/calendar/windows", data={**WINDOW, **change})

    assert answer.status_code == 422
    assert said in answer.text


def test_a_window_of_that_name_there_is_already(works, operator):
    operator.post("/calendar/windows", data=WINDOW)

    assert operator.post("/calendar/windows", data=WINDOW).status_code == 409


def test_a_freeze_needs_a_reason(works, operator):
    answer = operator.post("/calendar/freezes", data={**FREEZE, "reason": " "})

    assert answer.status_code == 422
    assert "say why" in answer.text
