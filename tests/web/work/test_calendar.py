"""Windows and freezes in the console."""

import io

import pytest

from patchmgr.db.queries import freezes, windows
from patchmgr.domain.accounts import Role

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
    assert "Saturday 7 March</strong>" in page
    assert "Monday 9 to Sunday 29 March:</strong> as in the week before" in page
    assert page.count("Monday 2 to Friday 6 March:</strong> nothing begins") == 1
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
    assert "see what is marked" in answer.text
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


def test_a_week_is_shown_in_any_zone_and_says_when_clocks_change(works, operator):
    operator.post("/calendar/windows", data=WINDOW)

    page = operator.get("/calendar?zone=Europe/Vienna&from=2026-03-25&weeks=1").text
    assert "23 March to 29 March 2026" in page
    assert "clocks go forward 1 h" in page
    assert "Sat 28 Mar 22:00 to Sun 29 Mar 03:00" in page  # four hours, one of them skipped
    assert "from=2026-03-16" in page
    assert "from=2026-03-30" in page


@pytest.mark.parametrize(
    "asked", ["from=soon", "from=0001-01-01", "from=9999-12-31", "weeks=999", "weeks=x",
              "zone=Mars/Olympus", "zone=../etc", "show=nothing", "window=none"],
)  # fmt: skip
def test_an_address_with_something_wrong_shows_the_usual(works, operator, asked):
    assert operator.get(f"/calendar?{asked}").status_code == 200


def test_only_what_is_asked_for_is_shown(works, operator):
    operator.post("/calendar/windows", data=WINDOW)
    operator.post("/calendar/freezes", data={**FREEZE, "starts": "2026-03-03T00:00"})

    page = operator.get("/calendar?show=freeze").text
    assert "lane-freeze" in page
    assert "lane-window" not in page


def test_a_form_goes_back_to_the_weeks_and_filters_that_were_chosen(works, operator):
    asked = "weeks=2&zone=Europe%2FVienna&show=freeze&from=2026-03-02"

    refused = operator.post(f"/calendar/windows?{asked}", data={**WINDOW, "duration": "long"})
    added = operator.post(f"/calendar/freezes?{asked}", data=FREEZE)

    assert "Times in Europe/Vienna" in refused.text
    action = f'action="/calendar/windows?{asked}"'.replace("&", "&amp;")
    assert action in refused.text
    assert added.location == f"/calendar?{asked}"
    assert operator.post("/calendar/windows", data=WINDOW).location == "/calendar"


def test_a_window_opens_by_every_rule_of_the_form_but_for_its_days(works, operator):
    rules = "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22\r\nFREQ=WEEKLY;BYDAY=TU;BYHOUR=2\r\n"
    given = {**WINDOW, "rrule": rules, "exdates": "2026-03-07 2026-03-10", "first": ""}

    assert operator.post("/calendar/windows", data=given).status_code == 303

    with works.db.reading() as session:
        window = windows.known_windows(session)[WINDOW["name"]]
    assert [one.rrule for one in window.parts] == rules.split()
    assert {one.exdates for one in window.parts} == {("2026-03-07", "2026-03-10")}


@pytest.mark.parametrize(
    ("rules", "complaint"),
    [
        ("FREQ=WEEKLY;BYDAY=SA;BYHOUR=22\nFREQ=OFTEN", "FREQ=OFTEN: "),
        ("\n".join(f"FREQ=DAILY;BYHOUR={n % 24}" for n in range(999)), "at most"),
        ("", ""),
    ],
)
def test_a_rule_that_cannot_be_is_named_and_kept_in_its_field(operator, rules, complaint):
    answer = operator.post("/calendar/windows", data={**WINDOW, "rrule": rules, "first": ""})

    assert answer.status_code == 422
    field = answer.text.split('id="window-rrule"')[1].split("</div>")[0]
    assert 'class="problem"' in field
    assert complaint in field
    assert rules.split("\n")[0] in field


def test_a_freeze_that_recurs_can_have_days_left_out(works, operator):
    given = {
        "name": "weekends",
        "rrule": "FREQ=WEEKLY;BYDAY=FR;BYHOUR=16",
        "duration": "62h",
        "zone": "UTC",
        "exdates": "2026-03-06",
        "first": "",
        "reason": "nobody is here",
    }
    page = operator.get("/calendar").text
    assert {f'id="freeze-{name}"' in page for name in given} == {True}

    assert operator.post("/calendar/freezes", data=given).status_code == 303

    with works.db.reading() as session:
        (line,) = freezes.freezes(session, now=works.clock())
    assert line.recurs.times.exdates == ("2026-03-06",)


def test_a_ring_of_approved_work_is_a_bar_with_its_link(works, operator):
    plan_id = works.started()
    early = operator.get("/calendar").text
    assert f'rings of <a href="/plans/{plan_id}/forecast">plan {plan_id}' in early
    assert "lane-ring" not in early

    works.forecast()

    page = operator.get("/calendar").text
    assert f'<a href="/plans/{plan_id}/times"' in page
    assert "lane-ring" in page
    assert "is being worked out" not in page


def test_programs_are_told_which_plans_have_no_forecast_yet(works, program):
    plan_id = works.started()
    ask = program(Role.VIEWER)
    early = ask("GET", "/calendar").json
    works.forecast()
    later = ask("GET", "/calendar?kind=ring").json

    assert (early["without_forecast"], later["without_forecast"]) == ([plan_id], [])
    forecast = ask("GET", f"/plans/{plan_id}/forecast").json["forecast"]
    assert [(one["starts"], one["ends"]) for one in later["entries"]] == [
        (ring["starts"], ring["ends"]) for ring in forecast["rings"]
    ]


def test_a_window_is_changed_and_removed(works, operator):
    operator.post("/calendar/windows", data=WINDOW)
    assert (
        operator.post(
            "/calendar/windows",
            data={**WINDOW, "change": "yes", "exdates": "2026-03-07", "first": ""},
        ).status_code
        == 303
    )
    assert "except 2026-03-07" in operator.get("/calendar").text

    operator.post("/calendar/windows/remove", data={"name": "saturday-night"})
    assert "No window yet" in operator.get("/calendar").text


def test_hosts_get_a_window_by_rule_on_the_page(works, operator):
    operator.post("/calendar/windows", data=WINDOW)
    rule = {"window": "saturday-night", "field": "environment", "value": "production"}
    operator.post("/calendar/rules", data=rule)

    assert "for 4 hosts" in operator.get("/calendar").text
    assert "saturday-night (by rule)" in operator.get("/hosts/web-1").text
    assert operator.post("/calendar/rules", data={**rule, "value": " "}).status_code == 422
    assert operator.post("/calendar/rules", data=rule).status_code == 409


def test_a_freeze_recurs_and_is_ended_on_the_page(works, operator):
    again = {"name": "weekend", "rrule": "FREQ=WEEKLY;BYDAY=FR;BYHOUR=16", "duration": "62h",
             "zone": "Europe/Vienna", "reason": "Nobody is here."}  # fmt: skip
    operator.post("/calendar/freezes", data=again)
    assert "Fridays 16:00 for 2 d 14 h, Europe/Vienna" in operator.get("/calendar").text

    operator.post("/calendar/freezes/1/end")
    assert "No freeze is set" in operator.get("/calendar").text


def test_a_file_goes_out_and_comes_in_on_the_page(works, operator):
    operator.post("/calendar/windows", data=WINDOW)
    body = operator.get("/calendar/windows.ics").data

    def sent(content):
        file = (io.BytesIO(content), "windows.ics")
        return operator.post("/calendar/import", data={"what": "windows", "file": file})

    assert sent(body).status_code == 303
    assert "there are: 1 unchanged." in operator.get("/calendar").text
    assert sent(body.replace(b"RRULE", b"RDATE")).status_code == 422
    assert operator.post("/calendar/import", data={"what": "windows"}).status_code == 422


def test_programs_do_the_same(works, app):
    def ask(method, path, role=Role.OPERATOR, **more):
        return app.test_client().open(
            f"/api/v1{path}",
            method=method,
            headers={"Authorization": f"Bearer {tokens[role]}"},
            **more,
        )

    tokens = {role: works.token(role) for role in (Role.VIEWER, Role.OPERATOR)}
    times = {"rrule": "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22", "duration": "4h", "zone": "Europe/Vienna"}
    more = [{"rrule": "FREQ=DAILY;BYHOUR=12", "duration": "1h"}]
    made = ask("POST", "/windows", json={"name": "w", **times, "also": more})
    assert made.status_code == 201
    assert made.json[0]["also"][0]["duration"] == 3600
    rule = {"window": "w", "fields": {"environment": "production"}}
    assert ask("POST", "/window-rules", json=rule).json[0]["fields"] == rule["fields"]
    assert ask("GET", "/windows").json[0]["hosts"] == 4
    changed = ask("PUT", "/windows/w", json={**times, "exdates": ["2026-12-26"]})
    assert changed.json == {"plans": []}
    assert ask("DELETE", "/windows/w").status_code == 409
    body = ask("GET", "/windows.ics").data
    found = ask("POST", "/windows/import", data=body, content_type="text/calendar")
    assert found.json["unchanged"] == ["w"]
    assert ask("DELETE", "/window-rules/1").status_code == 204
    assert ask("DELETE", "/windows/w").status_code == 200
    again = {"name": "f", "recurs": {**times, "duration": "62h"}, "reason": "books"}
    assert ask("POST", "/freezes", json=again).json[0]["recurs"]["duration"] == 62 * 3600
    assert ask("POST", "/freezes", json={"name": "f", "reason": "b"}).status_code == 422
    entries = ask("GET", "/calendar?weeks=2&kind=freeze", Role.VIEWER).json["entries"]
    assert {one["kind"] for one in entries} == {"freeze"}
    assert ask("DELETE", "/freezes/1", Role.VIEWER).status_code == 403
    assert ask("DELETE", "/freezes/1").status_code == 204
    assert ask("GET", "/calendar?from=soon").status_code == 422


def test_a_calendar_program_subscribes_with_its_token_as_password(works, app):
    plan_id = works.started()
    works.forecast()
    token = works.token(Role.VIEWER)
    client = app.test_client()

    feed = client.get("/api/v1/calendar.ics", auth=("anybody", token))
    assert feed.status_code == 200
    assert feed.content_type.startswith("text/calendar")
    assert f"UID:plan-{plan_id}-ring-0" in feed.text
    same = client.get(
        "/api/v1/calendar.ics",
        headers={"Authorization": f"Bearer {token}", "If-None-Match": feed.headers["ETag"]},
    )
    assert same.status_code == 304
    refused = client.get("/api/v1/calendar.ics")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"].startswith("Basic")
    assert client.get("/api/v1/calendar.ics", auth=("anybody", "wrong")).status_code == 401
    assert client.get("/api/v1/windows", auth=("anybody", token)).status_code == 401
