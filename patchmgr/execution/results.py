"""Results of work done by hand or by Ansible, as CSV: ``host,result[,package,output,…]``."""

import csv
import io
from dataclasses import dataclass

from patchmgr.domain.rollout.events import Outcome
from patchmgr.errors import BadFileError, BadRow
from patchmgr.execution.manual import COLUMNS

REQUIRED = ("host", "result")
OPTIONAL = ("package", "output", "attempt", "reboot")
# Columns of our own export, so that an exported file with a result column can come back as it is.
_IGNORED = tuple(name for name in COLUMNS if name not in (*REQUIRED, *OPTIONAL))
MOST_ROWS = 500_000
_YES, _NO = ("yes", "true", "1"), ("", "no", "false", "0")


@dataclass(frozen=True, slots=True)
class Result:
    """One row: what became of a host."""

    row: int  # line of the file
    host: str
    outcome: Outcome
    package: str = ""  # the one that failed
    output: str = ""
    attempt: int | None = None
    reboot_pending: bool = False


def read(body: bytes, file: str) -> list[Result]:
    """Return one result a host from a results file, checked whole.

    A host may have several rows if each names another package: it has failed if one has, it runs
    while one does, and is installed when all are. Comma, semicolon or tab; a byte order mark and
    blank lines are passed over. Raises `BadFileError` that names every row at fault.
    """
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = body[: error.start].count(b"\n") + 1
        raise BadFileError(file, [BadRow(row, "", "", "save it as UTF-8")]) from error
    header_line = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=header_line.count)
    reader = csv.reader(io.StringIO(text), delimiter=delimiter, strict=True)
    rows: list[tuple[int, list[str]]] = []
    begins = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                rows.append((begins, [cell.strip() for cell in cells]))
            begins = reader.line_num + 1
    except csv.Error as error:
        raise BadFileError(file, [BadRow(begins, "", "", f"not CSV: {error}")]) from error
    if not rows:
        raise BadFileError(file, [BadRow(0, "", "", "it is empty; it needs a header and rows")])
    header = _header(file, rows[0][1])
    return _rows(file, header, rows[1:])


def _header(file: str, cells: list[str]) -> list[str]:
    header = [cell.lower() for cell in cells]
    bad = [BadRow(1, name, "", "this column is missing") for name in REQUIRED if name not in header]
    known = (*REQUIRED, *OPTIONAL, *_IGNORED)
    bad += [
        BadRow(1, name, name, f"no such column; there are {', '.join((*REQUIRED, *OPTIONAL))}")
        for name in header
        if name not in known
    ]
    bad += [
        BadRow(1, name, name, "this column is there twice")
        for name in sorted({one for one in header if header.count(one) > 1})
    ]
    if bad:
        raise BadFileError(file, bad)
    return header


def _rows(file: str, header: list[str], rows: list[tuple[int, list[str]]]) -> list[Result]:
    found, bad = [], []
    if len(rows) > MOST_ROWS:
        raise BadFileError(file, [BadRow(0, "", "", f"more than {MOST_ROWS} rows; split it")])
    if not rows:
        bad.append(BadRow(0, "", "", "it has no rows"))
    for number, cells in rows:
        if len(cells) != len(header):
            why = f"{len(cells)} cells where the header has {len(header)}"
            bad.append(BadRow(number, "", "", why))
            continue
        row = dict(zip(header, cells, strict=True))
        if problem := _problem(number, row):
            bad.append(problem)
            continue
        attempt = row.get("attempt", "")
        found.append(
            Result(
                number,
                row["host"],
                Outcome(row["result"].lower()),
                row.get("package", ""),
                row.get("output", ""),
                int(attempt) if attempt else None,
                row.get("reboot", "").lower() in _YES,
            )
        )
    found, twice = _one_a_host(found)
    if bad or twice:
        raise BadFileError(file, [*bad, *twice])
    return found


# Of several rows about one host, the first of these that there is decides.
_DECISIVE = (
    Outcome.FAILED,
    Outcome.ROLLED_BACK,
    Outcome.RUNNING,
    Outcome.INSTALLED,
    Outcome.SKIPPED,
)


def _one_a_host(rows: list[Result]) -> tuple[list[Result], list[BadRow]]:
    by_host: dict[str, list[Result]] = {}
    bad = []
    for row in rows:
        others = by_host.setdefault(row.host.lower(), [])
        if others and (not row.package or row.package in {other.package for other in others}):
            why = "this host is there twice; keep the last result"
            bad.append(BadRow(row.row, "host", row.host, why))
        others.append(row)
    decided = [
        min(several, key=lambda row: _DECISIVE.index(row.outcome)) for several in by_host.values()
    ]
    return decided, bad


def _problem(number: int, row: dict[str, str]) -> BadRow | None:
    if not row["host"]:
        return BadRow(number, "host", "", "name the host")
    if row["result"].lower() not in tuple(Outcome):
        words = ", ".join(Outcome)
        return BadRow(number, "result", row["result"], f"write one of {words}")
    attempt = row.get("attempt", "")
    if attempt and not (attempt.isascii() and attempt.isdigit() and len(attempt) < 7):
        return BadRow(number, "attempt", attempt, "write a whole number, or nothing")
    if row.get("reboot", "").lower() not in (*_YES, *_NO):
        return BadRow(number, "reboot", row["reboot"], "write yes or no")
    return None
