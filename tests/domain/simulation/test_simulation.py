"""Simulated rollouts keep the promises of a real one, judged from their event log alone."""

import importlib.util
import json
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from functools import cache
from pathlib import Path

import pytest

from patchmgr.domain.rings import RingSettings
from patchmgr.domain.simulation.lines import ALL_KINDS
from patchmgr.domain.simulation.picture import Progress, draw
from patchmgr.domain.simulation.player import of_scenario, simulate
from patchmgr.domain.simulation.reading import scenario_from_json
from patchmgr.errors import InputError

_spec = importlib.util.spec_from_file_location("checker", Path(__file__).parent / "checker.py")
assert _spec is not None
assert _spec.loader is not None
_module = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_module)
Checker = _module.Checker

START = "2026-03-27T12:00:00Z"  # daylight saving begins in Berlin on the 29th, in New York before
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC")
NIGHT = {"name": "night", "rrule": "FREQ=DAILY;BYHOUR=2;BYMINUTE=30", "duration": "4h"}
WEEKEND = {
    "name": "weekend",
    "rrule": "FREQ=WEEKLY;BYDAY=SA,SU;BYHOUR=22",
    "duration": "9h",
    "zone": "Europe/Berlin",
}


def lines_of(document):
    return [line.to_json() for line in simulate(scenario_from_json(document))]


def scenario(hosts, rings=({"name": "all"},), **more):
    return {"start": START, "rings": list(rings), "hosts": hosts, **more}


def of_kind(lines, *kinds):
    return [line for line in lines if line["kind"] in kinds]


def kinds(lines):
    return Counter(line["kind"] for line in lines)


def random_scenario(seed):
    """A fleet with everything that can go wrong, and people who interfere."""
    dice = random.Random(seed)
    start = datetime.fromisoformat(START)
    names = [f"h{number:02}" for number in range(dice.choice([12, 30, 60]))]
    words = ["succeeds"] * 14 + ["reboots", "reboots", "fails", "offline", "hangs", "lost",
                                 "unverified"]  # fmt: skip
    hosts = []
    for name in names:
        word = dice.choice(words)
        hosts.append(
            {
                "name": name,
                "ring": dice.choice(["canary", "early", "broad"]),
                "group": dice.choice(["", "a", "b", "c"]),
                "zone": dice.choice(["", *ZONES]),
                "window": dice.choice(["", "night", "weekend", "night"]),
                "behaviour": {"kind": word, "begin": ["0m", "50m"], "package": dice.choice("pq")},
            }
        )
    begins = start + timedelta(hours=dice.choice([20, 36, 50]))
    people = []
    for _ in range(8):
        when = start + timedelta(hours=dice.randrange(1, 200))
        act = {
            "at": when.isoformat(),
            "do": dice.choice(["pause", "resume", "halt", "acknowledge"]),
        }
        people.append(act | {"reason": "r"})
    people += [
        {"at": "2026-04-05T00:00:00Z", "do": "accept", "hosts": [dice.choice(names)]},
        {"at": "2026-04-05T00:00:00Z", "do": "retry", "hosts": [dice.choice(names)]},
        {"at": "2026-04-12T00:00:00Z", "do": dice.choice(["skip", "approve"]), "ring": "early"},
    ]
    rings = [
        {"name": "canary", "max_failures": 1, "soak": "6h", "max_concurrent": 2, "lease": "2h"},
        {"name": "early", "max_failures": 2, "soak": "2h", "max_concurrent": 4, "expected": "50m"},
        {"name": "broad", "max_failures": 4, "max_concurrent": dice.choice([3, 9])},
    ]
    return scenario(
        hosts,
        rings,
        windows=[NIGHT, WEEKEND],
        freezes=[{"from": begins.isoformat(), "until": (begins + timedelta(hours=30)).isoformat()}],
        groups=[{"by": "group", "max_unavailable": dice.choice([1, 2, "25%"])}],
        seed=seed,
        people=people,
        acknowledge_after=dice.choice(["1h", "30h"]),
        resume_after="20h",
        due="2026-04-15T00:00:00Z",
        until="60d",
    )


SEEDS = range(24)


@cache
def random_lines(seed):
    return lines_of(random_scenario(seed))


def checked(document, lines):
    sizes = Counter(host["group"] for host in document["hosts"])
    limit = document["groups"][0]["max_unavailable"] if document.get("groups") else None
    limits = {
        group: limit if isinstance(limit, int) else max(1, size * int(limit[:-1]) // 100)
        for group, size in sizes.items()
        if group and limit
    }
    checker = Checker(
        document,
        {host["name"]: (host.get("window"), host.get("zone")) for host in document["hosts"]},
        limits,
    )
    for line in lines:
        checker.check(line)
    return checker


@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_the_log_keeps_every_promise(seed):
    document = random_scenario(seed)
    lines = random_lines(seed)

    assert checked(document, lines).broken == []
    assert {line["kind"] for line in lines} <= set(ALL_KINDS)
    assert lines[-1]["kind"] == "ended"


def test_the_same_scenario_and_seed_give_the_same_log():
    assert random_lines(3) == lines_of(random_scenario(3))
    other = [line.to_json() for line in simulate(scenario_from_json(random_scenario(3)), seed=99)]
    assert random_lines(3) != other


def test_the_random_scenarios_are_worth_it():
    seen = Counter()
    for seed in SEEDS:
        seen += kinds(random_lines(seed))

    rare = {"expired", "superseded", "skipped", "host_cancelled", "rolled_back", "roll_back",
            "cancelled", "completed", "probe_passed", "probe_failed",
            "probe_inconclusive", "probe_error"}  # fmt: skip
    assert set(ALL_KINDS) - rare <= set(seen)


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("dispatched", {"time": "2026-03-27T13:00:00Z"}),
        ("started", {"time": "2026-03-30T12:00:00Z"}),
        ("approved", {"kind": "proposed"}),
        ("started", {"host": "h01"}),
    ],
)
def test_the_checker_notices_a_forged_line(kind, change):
    document = scenario(
        [{"name": f"h0{n}", "window": "night", "group": ""} for n in (1, 2)], windows=[NIGHT]
    )
    lines = lines_of(document)
    last = of_kind(lines, kind)[-1]
    forged = [line | change if line is last else line for line in lines]
    forged.sort(key=lambda line: line["time"])

    assert checked(document, lines).broken == []
    assert checked(document, forged).broken


def test_never_two_of_these_at_once():
    hosts = [{"name": name, "behaviour": {"duration": "20m"}} for name in ("a", "b", "c", "d")]
    document = scenario(
        hosts,
        groups=[{"name": "pair", "hosts": ["a", "b"]}, {"name": "other", "hosts": ["b", "c"]}],
    )
    lines = lines_of(document)

    began = {line["host"]: line["time"] for line in of_kind(lines, "dispatched")}
    verified = {line["host"]: line["time"] for line in of_kind(lines, "verified")}
    assert began["b"] >= verified["a"]
    assert began["b"] >= verified["c"]
    assert began["d"] == began["a"]


def test_members_begin_in_their_order():
    document = scenario(
        [{"name": name, "group": "db", "behaviour": {"begin": "5m"}} for name in "abcd"],
        groups=[{"name": "db", "max_unavailable": 4, "order": ["d", "b"]}],
    )
    lines = lines_of(document)

    assert [line["host"] for line in of_kind(lines, "started")] == ["d", "b", "a", "c"]


def test_the_place_of_a_host_that_never_answers_is_given_to_the_next_at_once():
    hosts = [{"name": "a", "behaviour": "hangs"}, {"name": "b"}]
    ring = {"name": "all", "max_concurrent": 1, "run": "2h"}

    lines = lines_of(scenario(hosts, [ring]))

    (gone,) = of_kind(lines, "timed_out")
    begins = {line["host"]: line["time"] for line in of_kind(lines, "started")}
    assert gone["time"] == begins["b"] == "2026-03-27T14:00:00Z"


def test_a_failed_host_uses_its_group_until_it_is_acknowledged():
    hosts = [
        {"name": n, "group": "db", "behaviour": "fails" if n == "a" else "succeeds"} for n in "ab"
    ]
    rings = [{"name": "all", "max_failures": 5, "success_pct": 0, "attempted_pct": 50,
              "min_attempted": 1}]  # fmt: skip
    groups = [{"by": "group", "max_unavailable": 1}]
    accept = {"at": "2026-03-29T00:00:00Z", "do": "accept", "host": "a", "reason": "known"}
    stuck = lines_of(scenario(hosts, rings, groups=groups, until="10d"))
    freed = lines_of(scenario(hosts, rings, groups=groups, people=[accept]))

    assert [line["host"] for line in of_kind(stuck, "dispatched")] == ["a"]
    assert "counts against group db" in of_kind(stuck, "group_waits")[0]["reason"]
    assert of_kind(freed, "dispatched")[1]["time"] == "2026-03-29T00:00:00Z"
    assert freed[-1]["reason"] == "the plan is completed_with_failures"


@pytest.mark.parametrize(
    ("offline", "counts"),
    [
        ({"kind": "offline"}, {"timed_out": 1}),
        ({"offline_until": "2026-04-07T00:00:00Z"}, {"verified": 3}),
    ],
)
def test_a_host_that_never_begins_is_not_asked_for_ever_in_windows_shorter_than_its_lease(
    offline, counts
):
    """Its order is taken back with each window, which is nobody's fault: the ring's time is."""
    hosts = [
        {"name": "a", "window": "night", "behaviour": offline},
        {"name": "b", "window": "night"},
        {"name": "c", "window": "night", "behaviour": {"offline_until": "2026-04-05T00:00:00Z"}},
    ]
    lines = lines_of(scenario(hosts, [{"name": "all", "wait": "14d"}], windows=[NIGHT]))

    assert {kind: len(of_kind(lines, kind)) for kind in counts} == counts
    for line in of_kind(lines, "timed_out"):  # 14 days after the last of the others began
        assert (line["time"], line["host"]) == ("2026-04-19T02:30:00Z", "a")
        assert line["reason"] == "it was given its order and never began within 14 d"


def test_a_ring_that_passes_with_a_failure_that_somebody_let_pass_says_so():
    ring = {"name": "all", "max_failures": 0}
    lines = lines_of(
        scenario([{"name": "a", "behaviour": "hangs"}], [ring], acknowledge_after="1h")
    )

    assert of_kind(lines, "ring_passed")[0]["reason"] == "1 host without success let pass"


SHOP = {"name": "shop", "kind": "http", "url": "https://shop.example/", "interval": "10m"}
PROBED = {"name": "all", "soak": "4h", "probes": [SHOP]}


def answers(health):
    span = {"from": "2026-03-27T13:00:00Z", "until": "2026-03-27T23:00:00Z"}
    return [{"probe": "shop", "health": health, **span}]


def test_three_failures_of_a_probe_halt_and_four_missing_answers_pause():
    failed = lines_of(scenario([{"name": "a"}], [PROBED], probes=answers("failed")))
    silent = lines_of(scenario([{"name": "a"}], [PROBED], probes=answers("error")))
    vague = lines_of(scenario([{"name": "a"}], [PROBED], probes=answers("inconclusive")))
    fine = lines_of(scenario([{"name": "a"}], [PROBED]))

    assert of_kind(failed, "halted")[0]["time"] == "2026-03-27T13:20:00Z"
    assert of_kind(silent, "paused")[0]["time"] == "2026-03-27T13:30:00Z"
    assert "has not answered 4 times" in of_kind(silent, "paused")[0]["reason"]
    assert "was inconclusive 4 times" in of_kind(vague, "paused")[0]["reason"]
    assert fine[-1]["reason"] == "the plan is completed"


def test_a_ring_can_be_skipped_with_a_reason():
    skip = {"at": "2026-03-27T13:00:00Z", "do": "skip", "ring": "one", "reason": "no time"}
    hosts = [{"name": "a", "ring": "one", "behaviour": "offline"}, {"name": "b"}]
    lines = lines_of(scenario(hosts, [{"name": "one"}, {"name": "two"}], people=[skip]))

    assert of_kind(lines, "ring_skipped")[0]["reason"] == "no time"
    assert [line["host"] for line in of_kind(lines, "verified")] == ["b"]


def test_content_that_changes_stops_before_the_next_ring():
    hosts = [{"name": "a", "ring": "one"}, {"name": "b"}]
    tamper = {"at": "2026-03-27T12:01:00Z", "do": "tamper"}
    lines = lines_of(scenario(hosts, [{"name": "one"}, {"name": "two"}], people=[tamper]))

    assert "not what was approved" in of_kind(lines, "halted")[0]["reason"]
    assert [line["host"] for line in of_kind(lines, "dispatched")] == ["a"]


def test_a_generated_fleet_is_spread_over_windows_zones_and_groups():
    made = scenario_from_json(
        {
            "start": START,
            "windows": [NIGHT],
            "fleets": [{"name": "web", "count": 12, "windows": ["night", "any"], "groups": 3,
                        "zones": ["UTC", "Asia/Tokyo"]}],
        }
    )  # fmt: skip

    assert Counter(host.window for host in made.hosts) == {
        None: 6, "night": 3, "night@Asia/Tokyo": 3,
    }  # fmt: skip
    assert Counter(host.group for host in made.hosts) == {"web-1": 4, "web-2": 4, "web-3": 4}
    assert made.rings[0].name == "canary"


GOOD = {"start": START, "hosts": [{"name": "a"}]}


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"start": "soon"}, "start"),
        ({"start": "2026-03-27T12:00:00"}, "start"),
        ({"starts": 1}, "starts"),
        ({"hosts": []}, "hosts"),
        ({"hosts": {"a": 1}}, "hosts"),
        ({"hosts": [{"name": "a"}, {"name": "a"}]}, "hosts[1].name"),
        ({"hosts": [{"ring": "x"}]}, "hosts[0].name"),
        ({"hosts": [{"name": "a", "window": "w"}]}, "hosts[0].window"),
        ({"hosts": [{"name": "a", "behaviour": "dances"}]}, "hosts[0].behaviour"),
        ({"hosts": [{"name": "a", "behaviour": {"failure_rate": 2}}]},
         "hosts[0].behaviour.failure_rate"),
        ({"hosts": [{"name": "a", "behaviour": {"begin": ["2m", "1m"]}}]},
         "hosts[0].behaviour.begin"),
        ({"fleets": [{"count": 0}]}, "fleets[0].count"),
        ({"fleets": [{"count": 10**9}]}, "fleets[0].count"),
        ({"windows": [{"name": "w", "rrule": "FREQ=DAILY", "duration": "no"}]},
         "windows[0].duration"),
        ({"windows": [{"name": "w", "rrule": "FREQ=SOMETIMES", "duration": "1h"}]},
         "windows[0].rrule"),
        ({"windows": [{"name": "w", "rrule": "FREQ=DAILY", "duration": "1h", "zone": "Moon"}]},
         "windows[0].zone"),
        ({"freezes": [{"from": START}]}, "freezes[0].until"),
        ({"rings": [{"name": "a", "soak": 3}]}, "rings[0].soak"),
        ({"rings": [{"name": "a", "window": "w"}]}, "rings[0].window"),
        ({"groups": [{"name": "a", "max_unavailable": 0}]}, "groups[0].max_unavailable"),
        ({"groups": [{"name": "a", "max_unavailable": "200%"}]}, "groups[0].max_unavailable"),
        ({"people": [{"at": START, "do": "sing"}]}, "people[0].do"),
        ({"people": [{"at": START, "do": "retry", "host": "z"}]}, "people[0].hosts"),
        ({"people": [{"at": START, "do": "accept"}]}, "people[0].hosts"),
        ({"people": [{"at": START, "do": "skip"}]}, "people[0].ring"),
        ({"rings": [{"name": "a", "hosts": ["z"]}]}, "rings[0].hosts"),
        ({"groups": [{"name": "a", "hosts": ["a", "z"]}]}, "groups[0].hosts"),
        ({"groups": [{"name": "a", "order": ["a", "z"]}]}, "groups[0].order"),
        ({"freezes": [{"from": START, "rrule": "FREQ=DAILY", "duration": "1h"}]},
         "freezes[0].from"),
        ({"hosts": [{"name": " "}]}, "hosts[0].name"),
        ({"until": "2000d"}, "until"),
        ({"seed": -1}, "seed"),
        ({"until": "9999999d"}, "until"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_by_its_path(change, path):
    with pytest.raises(InputError) as caught:
        scenario_from_json({**GOOD, **change})

    assert list(caught.value.problems) == [path]


@pytest.mark.parametrize("document", [None, 3, [], "text", {}, {"start": START}])
def test_what_is_no_scenario_is_refused(document):
    with pytest.raises(InputError):
        scenario_from_json(document)


def test_the_picture_stands_alone_and_escapes_names():
    document = scenario(
        [{"name": "a", "window": "night", "ring": "<b>"}, {"name": "b"}],
        [{"name": "<b>", "soak": "3h"}, {"name": "rest"}],
        windows=[NIGHT],
        freezes=[{"from": "2026-03-28T00:00:00Z", "until": "2026-03-28T01:00:00Z"}],
    )
    played = of_scenario(scenario_from_json(document))
    progress = Progress(played.sizes)
    for line in played.lines:
        progress.add(line)
    drawn = draw(progress, title="t & u", windows=played.windows, freezes=played.freezes)

    assert drawn.startswith("<svg ")
    assert "<b>" not in drawn
    assert "&lt;b&gt;" in drawn
    assert "t &amp; u" in drawn
    assert "url(#frozen)" in drawn


def test_the_picture_shows_how_long_it_stood_still_why_and_what_went_wrong():
    document = scenario(
        [{"name": "a", "behaviour": "fails"}, {"name": "b"}],
        [{"name": "all", "max_failures": 0}],
        acknowledge_after="3h",
    )
    played = of_scenario(scenario_from_json(document))
    progress = Progress(played.sizes)
    for line in played.lines:
        progress.add(line)
    drawn = draw(progress, title="t", windows={}, freezes=())

    ((since, until, kind),) = progress.spans
    assert (kind, until - since) == ("halted", timedelta(hours=3))
    said = ("1 failure in ring all, its cap is 0</text>", "1 without success", "hosts begun")
    assert [words for words in said if words not in drawn] == []


def test_a_log_line_is_plain_json():
    line = json.dumps(lines_of(scenario([{"name": "ä"}]))[-1], ensure_ascii=False)

    assert json.loads(line)["time"].endswith("Z")
    assert RingSettings("x").needed_time == timedelta(minutes=45)
    assert datetime.fromisoformat(json.loads(line)["time"]).tzinfo == UTC


@pytest.mark.parametrize(
    "freeze",
    [
        {"rrule": "FREQ=DAILY;BYHOUR=0", "duration": "24h"},  # never ends
        {"rrule": "FREQ=DAILY;BYHOUR=2", "duration": "6h"},  # comes whenever the window opens
    ],
)
def test_a_ring_that_freezes_never_let_begin_stops_and_asks(freeze):
    rings = [{"name": "all", "wait": "5d"}]
    hosts = [{"name": "a", "window": "night"}]
    lines = lines_of(
        scenario(hosts, rings, windows=[NIGHT], freezes=[freeze | {"reason": "no"}], until="60d")
    )

    (halted,) = of_kind(lines, "halted")
    assert "waited too long for a window or the end of a freeze" in halted["reason"]
    assert of_kind(lines, "dispatched") == []


def test_time_in_a_freeze_is_not_time_that_a_ring_waited():
    rings = [{"name": "all", "wait": "3d"}]
    hosts = [{"name": "a", "window": "sundays"}]
    sundays = {"name": "sundays", "rrule": "FREQ=WEEKLY;BYDAY=SU;BYHOUR=20", "duration": "2h"}
    frozen = {"from": "2026-03-28T00:00:00Z", "until": "2026-04-02T00:00:00Z"}
    lines = lines_of(scenario(hosts, rings, windows=[sundays], freezes=[frozen]))
    hurried = lines_of(scenario(hosts, rings, windows=[sundays], freezes=[]))
    (late,) = of_kind(lines, "halted")

    assert of_kind(hurried, "halted") == []
    assert late["time"] == "2026-04-04T12:00:00Z"  # half a day, a freeze, two days and a half


def test_a_host_whose_reboot_takes_no_time_is_back_after_it_has_ended():
    now = {"kind": "reboots", "duration": "0m", "reboot": "0m", "inventory": "0m"}
    lines = lines_of(scenario([{"name": "a", "behaviour": now}]))

    kinds_in_order = [line["kind"] for line in lines if line["host"]]
    assert kinds_in_order == [
        "dispatched", "started", "succeeded", "reboot_pending", "rebooted", "verified",
    ]  # fmt: skip


def test_every_host_of_a_plan_that_is_over_has_a_last_word():
    rings = [{"name": "one"}, {"name": "two"}, {"name": "rest"}]
    hosts = [{"name": f"h{n}", "ring": ("one", "two", "rest")[n % 3], "window": "night"}
             for n in range(9)]  # fmt: skip
    people = [
        {"at": "2026-03-27T13:00:00Z", "do": "skip", "ring": "one", "reason": "no time"},
        {"at": "2026-03-27T14:00:00Z", "do": "cancel", "reason": "never mind"},
    ]
    lines = lines_of(scenario(hosts, rings, windows=[NIGHT], people=people))

    last = {line["host"]: line["kind"] for line in lines if line["host"]}
    assert last == {
        host["name"]: "skipped" if host["ring"] == "one" else "host_cancelled" for host in hosts
    }


def test_a_freeze_that_recurs_holds_as_long_as_the_simulation_goes_on():
    sunday = {"name": "sunday", "rrule": "FREQ=YEARLY;BYMONTH=5;BYMONTHDAY=1", "duration": "24h",
              "first": "2029-05-01T00:00"}  # fmt: skip
    may = {"name": "may", "rrule": "FREQ=MONTHLY;BYMONTHDAY=1", "duration": "31d", "reason": "no"}
    rings = [{"name": "all", "wait": "366d"}]
    lines = lines_of(
        scenario(
            [{"name": "a", "window": "sunday"}],
            rings,
            windows=[sunday],
            freezes=[may],
            acknowledge_after="1h",
            until="1500d",
        )
    )

    assert of_kind(lines, "dispatched") == []


@pytest.mark.parametrize(
    ("rings", "more"),
    [
        ([{"name": "all"}], {"people": [{"at": START, "do": "tamper", "reason": "by hand"}]}),
        ([{"name": "all", "window": "short", "expected": "2h", "wait": "1m"}], {}),
        (
            [{"name": "all", "soak": "80d", "probes": [
                {"name": "shop", "kind": "http", "url": "http://shop.example/"}]}],
            {"probes": [{"probe": "shop", "health": "inconclusive", "from": START,
                         "until": "2027-06-01T00:00:00Z"}]},
        ),
    ],
    ids=["content", "waiting", "probe"],
)  # fmt: skip
@pytest.mark.parametrize("after", ["0m", "1m"])
def test_who_always_lets_a_halt_pass_gives_up_in_the_end(rings, more, after):
    short = NIGHT | {"name": "short", "duration": "1h"}
    document = scenario(
        [{"name": "a"}], rings, windows=[short], acknowledge_after=after, resume_after=after, **more
    )

    lines = lines_of(document)

    assert len(of_kind(lines, "resumed")) <= 120
    assert lines[-1]["reason"].startswith("nothing can happen any more, the plan is ")


def test_a_failure_that_became_a_success_is_no_room_for_another_one():
    hangs = {"duration": "5h"}  # longer than the ring waits; its result comes late
    hosts = [{"name": f"h{n}", "behaviour": hangs} for n in range(6)]
    ring = {"name": "all", "max_failures": 0, "success_pct": 0, "max_concurrent": 1, "run": "1h"}

    lines = lines_of(scenario(hosts, [ring], acknowledge_after="5h"))

    timed_out, signals = of_kind(lines, "timed_out"), of_kind(lines, "signal")
    assert {line["time"] for line in timed_out} <= {line["time"] for line in signals}


def test_days_and_times_may_be_toml_s_own():
    night = NIGHT | {"exdates": [date(2026, 3, 28)], "first": datetime(2026, 3, 28, 2, 30)}  # noqa: DTZ001 -- a wall clock
    lines = lines_of(scenario([{"name": "a", "window": "night"}], windows=[night]))

    assert of_kind(lines, "started")[0]["time"] == "2026-03-29T02:30:00Z"
