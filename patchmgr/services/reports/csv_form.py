"""CSV: the appendix, one line a finding, with hosts, exceptions and the summary beside it."""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, ClassVar

from patchmgr.domain.compliance import Dated, HostLine, Report
from patchmgr.services.reports.forms import (
    EXCEPTION_COLUMNS,
    FINDING_COLUMNS,
    HOST_COLUMNS,
    Rows,
    exception_cells,
    host_cells,
    summary,
)

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")  # what a spreadsheet would begin to compute


class CsvForm:
    suffix: ClassVar[str] = ".csv"
    main: ClassVar[str] = "findings.csv"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = (folder / self.main).open("w", encoding="utf-8", newline="")
        self._rows = _writer(self._file)
        self._rows.writerow(FINDING_COLUMNS)
        self._findings = Rows(lambda _names, cells: tuple(safe(cell) for cell in cells))

    def add(self, line: HostLine, findings: Sequence[Dated]) -> None:
        self._rows.writerows(
            host + judged + dated for host, judged, dated in self._findings.of(line, findings)
        )

    def finish(self, report: Report) -> None:
        self._file.close()
        _write(self._folder / "hosts.csv", HOST_COLUMNS, map(host_cells, report.hosts))
        register = map(exception_cells, report.exceptions)
        _write(self._folder / "exceptions.csv", EXCEPTION_COLUMNS, register)
        columns = ("section", "measure", "value", "of", "percent")
        _write(self._folder / "summary.csv", columns, summary(report))


def safe(cell: Any) -> Any:
    """Return ``cell`` with an apostrophe before what a spreadsheet would take for a formula.

    Source: OWASP, CSV Injection.
    """
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _write(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = _writer(file)
        writer.writerow(columns)
        writer.writerows([safe(cell) for cell in row] for row in rows)


def _writer(file: Any) -> Any:
    return csv.writer(file, lineterminator="\n")
