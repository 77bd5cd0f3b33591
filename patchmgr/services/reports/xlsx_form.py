"""XLSX: a summary, the hosts, the exceptions, and the findings that have a fix."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

import xlsxwriter

from patchmgr.domain.advisories import Status
from patchmgr.domain.compliance import Dated, HostLine, Report
from patchmgr.services.reports.forms import (
    EXCEPTION_COLUMNS,
    FINDING_COLUMNS,
    HOST_COLUMNS,
    Rows,
    exception_cells,
    host_cells,
    iso,
    summary,
)

ROWS = 1_048_575  # of a sheet, beside its header
CREATED = datetime(2000, 1, 1)  # noqa: DTZ001 -- XLSX knows no zone; any fixed instant will do


class XlsxForm:
    """Cells are text and numbers, never formulas or links.

    Findings without a fix are counted in the summary and listed in the other formats: they are
    most rows of a Debian fleet, and no sheet holds them.
    """

    suffix: ClassVar[str] = ".xlsx"
    main: ClassVar[str] = "compliance.xlsx"

    def __init__(self, folder: Path) -> None:
        self._book = xlsxwriter.Workbook(
            str(folder / self.main),
            {
                "constant_memory": True,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        self._book.set_properties({"title": "Compliance report", "created": CREATED})
        self._bold = self._book.add_format({"bold": True, "bottom": 1})
        self._summary = self._sheet("Summary", ("section", "measure", "value", "of", "percent"))
        self._hosts = self._sheet("Hosts", HOST_COLUMNS)
        self._exceptions = self._sheet("Exceptions", EXCEPTION_COLUMNS)
        self._findings = self._sheet("Findings", FINDING_COLUMNS)
        self._row = self._sheets = 1
        self._rows = Rows(lambda _names, cells: tuple(cells))

    def add(self, line: HostLine, findings: Sequence[Dated]) -> None:
        with_fix = [each for each in findings if each.judged.status is Status.AFFECTED]
        for host, judged, dated in self._rows.of(line, with_fix):
            if self._row > ROWS:
                self._sheets += 1
                self._findings = self._sheet(f"Findings {self._sheets}", FINDING_COLUMNS)
                self._row = 1
            for column, cell in enumerate(host + judged + dated):
                if cell:
                    self._findings.write_string(self._row, column, cell)
            self._row += 1

    def finish(self, report: Report) -> None:
        basis = report.basis
        facts = [
            ("provenance", "as of", iso(basis.as_of)),
            ("provenance", "policy", f"{basis.policy.name}, version {basis.policy.version}"),
            ("provenance", "last scan", iso(basis.scanned_at)),
            ("provenance", "generator", basis.generator),
            *(
                ("provenance", f"feed {feed.name}", f"revision {feed.revision}, {feed.digest}")
                for feed in basis.feeds
            ),
        ]
        _fill(self._summary, [*facts, *summary(report)])
        _fill(self._hosts, map(host_cells, report.hosts))
        _fill(self._exceptions, map(exception_cells, report.exceptions))
        self._book.close()

    def _sheet(self, name: str, columns: Sequence[str]) -> Any:
        sheet = self._book.add_worksheet(name)
        sheet.freeze_panes(1, 0)
        sheet.set_column(0, len(columns) - 1, 18)
        sheet.write_row(0, 0, [column.replace("_", " ") for column in columns], self._bold)
        return sheet


def _fill(sheet: Any, rows: Iterable[Sequence[Any]]) -> None:
    for number, row in enumerate(rows, start=1):
        sheet.write_row(number, 0, row)
