"""HTML: one file that needs no other, for reading and for printing."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import ClassVar

import jinja2

from patchmgr.domain.compliance import PERIOD, Dated, HostLine, Report, State, Verdict
from patchmgr.services.reports.forms import NO_EXCEPTIONS, NO_KEV
from patchmgr.services.reports.trend import drawing

ORDER = (Verdict.NOT_COMPLIANT, Verdict.UNKNOWN, Verdict.COMPLIANT)
Shown = tuple[HostLine, Dated]

_NEVER = datetime.max.replace(tzinfo=UTC)


class HtmlForm:
    """The appendix shows the first rows, the most urgent ones, and says how many there are."""

    suffix: ClassVar[str] = ".html"
    main: ClassVar[str] = "compliance.html"
    host_rows: ClassVar[int] = 2000
    finding_rows: ClassVar[int] = 1000

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._urgent: list[Shown] = []
        self._last: tuple[object, ...] | None = None  # what comes after it is not shown

    def add(self, line: HostLine, findings: Sequence[Dated]) -> None:
        last = self._last
        self._urgent += [
            (line, each) for each in findings if last is None or _urgency((line, each)) < last
        ]
        if len(self._urgent) > 4 * self.finding_rows:
            self._cut()

    def finish(self, report: Report) -> None:
        (self._folder / self.main).write_text(self.render(report), encoding="utf-8")

    def render(self, report: Report) -> str:
        """Return the whole document."""
        self._cut()
        hosts = sorted(report.hosts, key=lambda line: (ORDER.index(line.verdict), line.hostname))
        template = _environment().get_template("compliance.html")
        return template.render(
            report=report,
            basis=report.basis,
            head=report.headline,
            cover=report.coverage,
            hosts=hosts[: self.host_rows],
            findings=self._urgent,
            period_days=PERIOD.days,
            trend=drawing(report.trend),
            no_kev=NO_KEV,
            no_exceptions=NO_EXCEPTIONS,
        )

    def _cut(self) -> None:
        self._urgent = sorted(self._urgent, key=_urgency)[: self.finding_rows]
        if len(self._urgent) == self.finding_rows:
            self._last = _urgency(self._urgent[-1])


def _urgency(shown: Shown) -> tuple[object, ...]:
    """Order by due date, then severity; what has none, or an exception covers, comes last."""
    line, finding = shown
    judged = finding.judged
    return (
        finding.state is State.EXCEPTED,
        finding.due or _NEVER,
        -judged.severity,
        line.hostname,
        judged.package,
        judged.arch,
        judged.installed,
        judged.advisory,
    )


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("patchmgr.services.reports"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(when=_when, day=_day, days=_days, number=_number)
    return environment


def _when(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _day(at: datetime | None) -> str:
    return "" if at is None else at.astimezone(UTC).strftime("%Y-%m-%d")


def _days(seconds: int | None) -> str:
    """Return a length in days with one decimal, rounded down; a dash for none."""
    if seconds is None:
        return "\N{EN DASH}"
    tenths = seconds * 10 // 86_400
    return f"{tenths // 10:,}.{tenths % 10}"


def _number(value: int) -> str:
    return f"{value:,}"
