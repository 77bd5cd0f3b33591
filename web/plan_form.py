"""The form of a plan: what it closes, its rings, its approvals. It works without JavaScript.

Fields of the n-th ring are called ``ring-<n>-<setting>``; buttons of the form add and remove rings
by sending it back, so nothing typed is lost.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from werkzeug.datastructures import MultiDict

from patchmgr.domain import durations
from patchmgr.domain.advisories import Severity
from patchmgr.domain.groups import GroupSettings
from patchmgr.domain.numbers import whole
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import (
    ANY_TIME,
    DEFAULT_RINGS,
    MOST_RINGS,
    OWN_WINDOW,
    RingSettings,
    from_json,
)
from patchmgr.domain.terms import Terms
from patchmgr.errors import InputError
from web import choices, group_form
from web.group_form import GroupRow
from web.terms_form import TermsRow

FIELDS = {
    "": "(no field)",
    "ring": "own ring is",
    "environment": "environment is",
    "site": "site is",
    "owner": "owner is",
    "criticality": "criticality is",
    "exposure": "exposure is",
    "platform": "platform is",
    "tag": "tags include",
}
NUMBERS = (
    "percent",
    "representative",
    "success_pct",
    "max_failures",
    "max_concurrent",
    "min_attempted",
)
TEXTS = ("name", "soak", "window", "expected")
CHOSEN = ("advisory", "cve", "package", "host")  # several words
CHOSEN_ONE = ("platform", "environment", "severity")  # one value of a choice
ALL_HOSTS = RingSettings("all", max_failures=0)


@dataclass(slots=True)
class RingRow:
    """One ring as it was typed, and what is wrong with it."""

    values: dict[str, str]
    needs_approval: bool = False
    problems: list[str] = field(default_factory=list)
    kept: Mapping[str, Any] = field(default_factory=dict)  # settings that the form does not show

    def settings(self) -> RingSettings:
        """Return the ring. Raises `InputError`."""
        given = self.values
        document: dict[str, Any] = {**self.kept, "needs_approval": self.needs_approval}
        document.update({name: given[name].strip() for name in TEXTS})
        for name in NUMBERS:
            text = given[name].strip() or ("0" if name == "representative" else "")
            if not (text.isascii() and text.isdigit() and len(text) < 7):
                raise InputError({_LABELS[name]: f"{text!r} is not a whole number"})
            document[name] = int(text)
        chosen, value = given["field"], given["value"].strip()
        words = [word for one in value.split(",") if (word := one.strip())]
        document["fields"] = {chosen: words} if chosen and words else {}
        document.pop("min_soak", None)  # follows the soak
        return from_json(document)


_LABELS = {
    "percent": "Share",
    "representative": "Representatives",
    "success_pct": "Must succeed",
    "max_failures": "Failures allowed",
    "max_concurrent": "At a time",
    "min_attempted": "Least attempted",
}


@dataclass(slots=True)
class PlanForm:
    """What was typed, and what is wrong with it."""

    title: str = ""
    chosen: dict[str, str] = field(
        default_factory=lambda: dict.fromkeys((*CHOSEN, *CHOSEN_ONE), "")
    )
    approvals: str = "1"
    terms_row: TermsRow = field(default_factory=lambda: TermsRow.of(Terms()))
    rings: list[RingRow] = field(default_factory=list)
    groups: list[GroupRow] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    seen: str = ""  # hash of the content over which it was filled in; of a plan that is edited

    @classmethod
    def fresh(cls, asked: MultiDict[str, str]) -> "PlanForm":
        """Return the form as a link opens it: ``?host=`` and the like, even several, filled in."""
        rings = (ALL_HOSTS,) if len(asked.getlist("host")) == 1 else DEFAULT_RINGS
        return cls(
            chosen={
                **{name: " ".join(asked.getlist(name)).strip() for name in CHOSEN},
                **{name: asked.get(name, "") for name in CHOSEN_ONE},
            },
            rings=[row_of(ring) for ring in rings],
        )

    @classmethod
    def read(cls, given: MultiDict[str, str], kept: Sequence[RingSettings] = ()) -> "PlanForm":
        """Return the form as it was sent; ``kept`` are the plan's rings when it is edited."""
        known = {ring.name: ring.to_json() for ring in kept}
        rings = []
        for number in range(MOST_RINGS):
            if f"ring-{number}-name" not in given:
                continue
            values = {
                name: given.get(f"ring-{number}-{name}", "")
                for name in (*TEXTS, *NUMBERS, "field", "value")
            }
            hidden = known.get(given.get(f"ring-{number}-was", ""), {})
            needs = f"ring-{number}-needs_approval" in given
            rings.append(RingRow(values, needs_approval=needs, kept=hidden))
        return cls(
            title=given.get("title", ""),
            terms_row=TermsRow.read(given),
            chosen={name: given.get(name, "") for name in (*CHOSEN, *CHOSEN_ONE)},
            approvals=given.get("approvals", "1"),
            rings=rings,
            groups=group_form.read_rows(given),
            seen=given.get("content_hash", ""),
        )

    @property
    def is_refused(self) -> bool:
        rings, groups = (r.problems for r in self.rings), (g.problems for g in self.groups)
        return bool(self.problems) or any(rings) or any(groups)

    def change_rows(self, given: Mapping[str, str]) -> bool:
        """Add or remove a ring or group when that button was pressed; return whether one was."""
        if "add_group" in given:
            self.groups.append(group_form.empty_row())
            return True
        if (number := whole(given.get("remove_group", ""), len(self.groups) - 1)) is not None:
            del self.groups[number]
            return True
        return self._change_rings(given)

    def _change_rings(self, given: Mapping[str, str]) -> bool:
        if "add_ring" in given:
            last = DEFAULT_RINGS[-1]
            row = row_of(last)
            row.values.update(name=f"ring {len(self.rings) + 1}", field="", value="")
            self.rings.append(row)
            return True
        if (number := whole(given.get("remove_ring", ""), len(self.rings) - 1)) is not None:
            del self.rings[number]
            return True
        return False

    def take(self, error: InputError) -> None:
        """Put each problem to the ring that it names, the others above the form."""
        for name, why in error.problems.items():
            text = f"{name}: {why}" if name else why
            text = text[:1].upper() + text[1:]
            ring = next((r for r in self.rings if f"ring {r.values['name']!r}" in name), None)
            (self.problems if ring is None else ring.problems).append(text)

    def selection(self) -> Selection:
        """Return what is asked for. Raises `InputError`."""
        severity = self.chosen["severity"]
        if severity and severity not in dict(choices.SEVERITIES):
            raise InputError({"severity": f"{severity!r} is not one of the choices"})
        exactly = choices.exactly(severity)
        return Selection(
            advisories=_words(self.chosen["advisory"]),
            cves=tuple(word.upper() for word in _words(self.chosen["cve"])),
            packages=_words(self.chosen["package"]),
            hosts=_words(self.chosen["host"]),
            severity_at_least=choices.at_least(severity) or Severity.UNKNOWN,
            severities=(exactly,) if exactly is not None else (),
            platforms=tuple(filter(None, [self.chosen["platform"]])),
            environments=tuple(filter(None, [self.chosen["environment"]])),
        )

    def ring_settings(self) -> tuple[RingSettings, ...]:
        """Return the rings. Raises `InputError` with every problem of every ring."""
        found, bad = [], {}
        for number, row in enumerate(self.rings, start=1):
            try:
                found.append(row.settings())
            except InputError as error:
                name = row.values["name"] or f"number {number}"
                row.problems += [f"{at}: {why}" if at else why for at, why in _flat(error)]
                bad[f"ring {name}"] = "has a setting that cannot be; it says so below"
        if bad:
            raise InputError(bad)
        return tuple(found)

    def group_settings(self) -> tuple[GroupSettings, ...]:
        """Return the groups. Raises `InputError`; each row has its own problems then."""
        return group_form.settings_of(self.groups)

    def terms(self, before: Terms = Terms()) -> Terms:  # noqa: B008 -- frozen
        """Return ``before`` with what was typed. Raises `InputError`."""
        return self.terms_row.over(before)

    def approvals_needed(self) -> int:
        """Return how many must approve. Raises `InputError`."""
        if (number := whole(self.approvals)) is None:
            raise InputError({"approvals": f"{self.approvals[:80]!r} is not a whole number"})
        return number


def row_of(ring: RingSettings) -> RingRow:
    """Return a ring as the form shows it."""
    name, value = next(iter(ring.fields.items()), ("", ""))
    value = value if isinstance(value, str) else ", ".join(value)
    return RingRow(
        {
            "name": ring.name,
            "soak": durations.text(ring.soak),
            "expected": durations.text(ring.expected),
            "window": ring.window,
            **{number: str(getattr(ring, number)) for number in NUMBERS},
            "field": name,
            "value": value,
        },
        needs_approval=ring.needs_approval,
        kept=ring.to_json(),
    )


def window_options(names: Iterable[str]) -> list[tuple[str, str]]:
    """Return what a ring's window can be, with words for people."""
    return [
        (OWN_WINDOW, "each host's own"),
        (ANY_TIME, "any time"),
        *((name, name) for name in names),
    ]


def _flat(error: InputError) -> list[tuple[str, str]]:
    return [(at.split(" of ring ")[0], why) for at, why in error.problems.items()]


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(text.replace(",", " ").split()))
