"""What a plan is expected to bring and when, as it is kept between two looks at it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from patchmgr.domain.simulation.forecast import Forecast, LateHost, LateHosts, RingForecast

_INSTANTS = ("starts", "soaks_from", "ends", "last_host", "expected", "earliest")


@dataclass(frozen=True, slots=True)
class Compliance:
    """What is left of the plan's work at some point."""

    after: str  # ring; empty: now
    hosts: int  # that are not done
    findings: int  # of the plan, still open
    hosts_pct: int  # done, rounded down
    findings_pct: int


@dataclass(frozen=True, slots=True)
class Beside:
    """Another plan that is to be carried out, and what it has in common with one."""

    plan: int
    title: str
    state: str
    groups: int  # that both have hosts in
    group: str  # one of them
    hosts: int  # that both change

    @property
    def shared(self) -> str:
        """Return what both have, in words."""
        others = f" and {self.groups - 1} more" if self.groups > 1 else ""
        groups = f"the {'group' if self.groups == 1 else 'groups'} {self.group}{others}"
        hosts = "1 host" if self.hosts == 1 else f"{self.hosts} hosts"
        return " and ".join([groups] * bool(self.groups) + [hosts] * bool(self.hosts))


@dataclass(frozen=True, slots=True)
class PlanForecast:
    """A plan's forecast and what each ring brings."""

    forecast: Forecast
    due: datetime | None
    hosts: int
    findings: int
    compliance: tuple[Compliance, ...]
    beside: tuple[Beside, ...] = ()  # plans that it does not take into account


def to_json(made: PlanForecast) -> dict[str, Any]:
    """Return the document that is kept.

    When each host is done is left out: it would be long. So is which other plans it does not take
    into account: that changes while this plan stays as it is.
    """
    found = made.forecast
    return {
        "starts": _text(found.starts),
        "ends": _text(found.ends),
        "outcome": found.outcome,
        "rings": [_plain(ring) for ring in found.rings],
        "late": [_plain(host) for host in found.late],
        "late_hosts": found.late_hosts,
        "late_by": [_plain(one) for one in found.late_by],
        "due": _text(made.due),
        "hosts": made.hosts,
        "findings": made.findings,
        "compliance": [_plain(one) for one in made.compliance],
    }


def from_json(document: Mapping[str, Any]) -> PlanForecast:
    """Return what `to_json` wrote."""
    found = Forecast(
        tuple(RingForecast(**_read(one)) for one in document["rings"]),
        _instant(document["starts"]),
        _instant(document["ends"]),
        document["outcome"],
        tuple(LateHost(**_read(one)) for one in document["late"]),
        document["late_hosts"],
        late_by=tuple(LateHosts(**_read(one)) for one in document["late_by"]),
    )
    return PlanForecast(
        found,
        _instant(document["due"]),
        document["hosts"],
        document["findings"],
        tuple(Compliance(**one) for one in document["compliance"]),
    )


def _plain(one: RingForecast | LateHost | LateHosts | Compliance) -> dict[str, Any]:
    found = {each.name: getattr(one, each.name) for each in fields(one)}
    return found | {name: _text(found[name]) for name in _INSTANTS if name in found}


def _read(one: Mapping[str, Any]) -> dict[str, Any]:
    return {**one, **{name: _instant(one[name]) for name in _INSTANTS if name in one}}


def _text(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def _instant(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
