"""What could go wrong with a plan, as sentences with somewhere to look."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from patchmgr.db.queries.forecasts import KeptForecast
from patchmgr.db.queries.plan_review import Standing
from patchmgr.db.queries.plans import PlanDetail
from patchmgr.domain.holds import Hold
from patchmgr.domain.plans import Change
from patchmgr.domain.rollout.states import ACTIVE_PLANS, OPEN_PLANS
from patchmgr.domain.simulation.forecast import NO_WINDOW, TOO_LATE, LateHosts
from patchmgr.domain.terms import Targets
from web.show import capitalize_first, plural

NAMED = 3  # hosts named in a sentence
NO_RING = ": no ring begins with it"
REASONS = 8  # for which something is not planned, that have a sentence of their own
HELD = 20  # changes that are held, likewise


@dataclass(frozen=True, slots=True)
class Risk:
    """A sentence; ``place`` and ``value`` say which page shows more."""

    tone: str  # "bad", "warn", "info"
    words: str
    place: str = ""  # "host", "hosts", "plan", "advisory", "excluded", "timeline", …
    value: str = ""


def of(
    plan: PlanDetail,
    standing: Standing,
    *,
    kept: KeptForecast | None,
    now: datetime,
    bad: Sequence[tuple[Change, Hold]] = (),
) -> list[Risk]:
    """Return what an approver should know, the worst first."""
    if plan.state not in OPEN_PLANS:
        return []
    found = [
        *_late(plan, kept, now),
        *_signals(plan),
        *held(plan, bad),
        *_hosts(standing),
        *_changes(plan, standing),
    ]
    order = {"bad": 0, "warn": 1, "info": 2}
    return sorted(found, key=lambda risk: order[risk.tone])


def worst(plan: PlanDetail, kept: KeptForecast | None, now: datetime) -> list[Risk]:
    """Return only what an approver must not miss; it is said beside the decision."""
    return [*_late(plan, kept, now), *_signals(plan)]


def _late(plan: PlanDetail, kept: KeptForecast | None, now: datetime) -> list[Risk]:
    """Return which hosts will be late, as the forecast has it."""
    found = []
    if plan.due is not None and plan.due < now:
        found.append(Risk("bad", "A due date of what it closes has passed already.", "forecast"))
    if kept is None:
        words = "When its rings will run is being worked out: nobody can say yet who will be late."
        found.append(Risk("warn", words, "forecast"))
    else:
        made = kept.made.forecast
        endless = [ring.name for ring in made.rings if ring.hosts and ring.ends is None]
        if endless:
            words = f"The end of ring {endless[0]} is not in sight: {made.outcome}."
            found.append(Risk("bad", words, "forecast"))
        if plan.due is None or plan.due >= now:
            found += [_late_hosts(one) for one in made.late_by]
    found += [
        Risk("bad", f"Window {name} is shorter than a host's work takes.", "calendar")
        for name in plan.summary.get("windows_too_short", ())
    ]
    return found


def _late_hosts(one: LateHosts) -> Risk:
    many = plural(one.hosts, "host")
    if one.reason == TOO_LATE:
        return Risk(
            "bad", f"{many} of ring {one.ring} will be done after the due date.", "forecast"
        )
    if one.reason == NO_WINDOW:
        have = "has" if one.hosts == 1 else "have"
        words = f"{many} of ring {one.ring} {have} no window before the due date."
        return Risk("bad", words, "forecast")
    return Risk("bad", f"{many} of ring {one.ring}: {one.reason}.", "forecast")


def _signals(plan: PlanDetail) -> list[Risk]:
    """Return the open halt signals: an advisory that was withdrawn, for one."""
    return [
        Risk(
            "bad",
            f"A halt signal is open: {signal.why}.",
            "advisory" if signal.kind == "withdrawn" else "",
            signal.subject,
        )
        for signal in plan.signals
    ]


def held(plan: PlanDetail, found: Sequence[tuple[Change, Hold]]) -> list[Risk]:
    """Return what the plan would install that is known to be bad, unless its signals say so."""
    said = {signal.why for signal in plan.signals if signal.kind == "hold"}
    # Changes from several old versions to the same one are said once.
    words = dict.fromkeys(_bad_version(change, hold) for change, hold in found)
    new = [one for one in words if one.removesuffix(NO_RING) not in said]
    risks = [Risk("bad", f"{one}.", "hold") for one in new[:HELD]]
    if (rest := len(new) - HELD) > 0:
        words_of_rest = f"{plural(rest, 'more change is', 'more changes are')} held likewise."
        risks.append(Risk("bad", words_of_rest, "hold"))
    return risks


def _bad_version(change: Change, hold: Hold) -> str:
    what = f"{change.package} {change.to_version}"
    if hold.is_proposed:
        return f"{what} may be bad: {hold.reason}, and nobody has decided on hold {hold.id} yet"
    return f"{what} is {hold.words}{NO_RING}"


def _hosts(standing: Standing) -> list[Risk]:
    found = [
        Risk(
            "warn",
            f"{plural(hosts, 'host')} of this plan {'is' if hosts == 1 else 'are'} also in plan "
            f"{number}, {title}; they take turns.",
            "plan",
            str(number),
        )
        for number, title, hosts in standing.elsewhere
    ]
    for names, words in (
        (standing.silent, "has been silent for too long: nobody can tell whether it worked"),
        (standing.never_reported, "has never reported its packages"),
        (standing.retired, "is retired since the plan was made"),
        (standing.reboot_pending, "has a reboot pending from before"),
    ):
        if names:
            found.append(Risk("warn", f"{_named(names)} {_many(words, names)}.", *_where(names)))
    if standing.without_window:
        found.append(
            Risk(
                "warn",
                f"{plural(len(standing.without_window), 'host')} may change at any time: no window "
                "is set.",
                "hosts",
                "any",
            )
        )
    return found


def _changes(plan: PlanDetail, standing: Standing) -> list[Risk]:
    found = []
    found += _not_planned(standing.excluded)
    left_out = plan.summary.get("left_out", ())
    found += [
        Risk("warn", f"{one['host']} is left out: {one['reason']}.", "host", one["host"])
        for one in left_out[:NAMED]
    ]
    if (rest := len(left_out) - NAMED) > 0:
        words = f"{plural(rest, 'more host is', 'more hosts are')} left out."
        found.append(Risk("warn", words, "left-out"))
    lacking = plan.summary.get("unmatched", ())
    found += [Risk("warn", f"{capitalize_first(one)}.", "timeline") for one in lacking[:HELD]]
    if (rest := len(lacking) - HELD) > 0:
        more = f"{plural(rest, 'more name')} of its rings and groups match nothing."
        found.append(Risk("warn", more, "timeline"))
    if phased := plan.summary.get("phased"):
        others = f" and {len(phased) - NAMED} more" if len(phased) > NAMED else ""
        words = f"Phased, so not offered to every host yet: {', '.join(phased[:NAMED])}{others}."
        found.append(Risk("info", words))
    found += [
        Risk(
            "info",
            f"{plural(one['hosts'], 'host gets', 'hosts get')} {one['package']} {one['target']} at "
            f"least, as their repositories offer: of {one['fix']} and newer, one is held.",
            "hold",
        )
        for one in plan.summary.get("raised_targets", ())[:HELD]
    ]
    if plan.terms.targets is Targets.EXACT:
        found += [_superseded(one) for one in plan.summary.get("superseded_targets", ())[:NAMED]]
    if standing.first_time and plan.state not in ACTIVE_PLANS:
        names = ", ".join(standing.first_time[:NAMED])
        unnamed = len(standing.first_time) - NAMED
        found.append(
            Risk(
                "info",
                f"The first time that {names}{f' and {unnamed} more' if unnamed > 0 else ''} "
                f"{'is' if len(standing.first_time) == 1 else 'are'} changed to this version here.",
            )
        )
    if plan.summary.get("held_included"):
        found.append(
            Risk(
                "warn",
                f"{plural(plan.summary['held_included'], 'package')} that hosts hold back "
                "are changed all the same.",
                "hosts",
            )
        )
    if len(plan.rings) == 1 and plan.summary["hosts"] > NAMED:
        found.append(
            Risk("warn", "All hosts are in one ring: nothing is tried on a few first.", "timeline")
        )
    return found


def _not_planned(excluded: Mapping[str, tuple[int, int]]) -> list[Risk]:
    """Return what was asked for and is left out, by the reasons that most hosts have.

    Reasons can name a version or a host's hold each, so that a large fleet has hundreds.
    """
    by_hosts = sorted(excluded.items(), key=lambda one: (-one[1][1], one[0]))
    found = [
        Risk("info", f"{_asked_for(many)} not in it: {reason.split(';')[0]}.", "excluded", reason)
        for reason, (many, _) in by_hosts[:REASONS]
    ]
    if rest := by_hosts[REASONS:]:
        asked = _asked_for(sum(versions for _, (versions, _) in rest))
        words = f"{asked} not in it, for {plural(len(rest), 'other reason')}."
        found.append(Risk("info", words, "excluded"))
    return found


def _asked_for(versions: int) -> str:
    verb, be = ("was", "is") if versions == 1 else ("were", "are")
    return f"{plural(versions, 'package version')} that {verb} asked for {be}"


def _superseded(one: Mapping[str, Any]) -> Risk:
    many = plural(one["hosts"], "host")
    words = (
        f"{many} would get {one['package']} {one['target']} exactly, and "
        f"{'its' if one['hosts'] == 1 else 'their'} repositories put {one['offered']} first: where "
        "they keep only that, the exact version cannot be installed. Versions at least as new can."
    )
    return Risk("warn", words, "hosts")


def _named(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else plural(len(names), "host")


def _many(words: str, names: Sequence[str]) -> str:
    if len(names) == 1:
        return words
    return words.replace("has ", "have ", 1).replace("is ", "are ", 1).replace(" it ", " they ")


def _where(names: Sequence[str]) -> tuple[str, str]:
    return ("host", names[0]) if len(names) == 1 else ("hosts", "")
