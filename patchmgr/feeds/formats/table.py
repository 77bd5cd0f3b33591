"""Tables in CSV: UTF-8, with a header, commas, semicolons or tabs between the columns."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence

from patchmgr.errors import BadRow, FeedMalformedError

DELIMITERS = (",", ";", "\t")
SHOWN = 5  # rows that a refusal names
NAME_SHOWN = 40  # characters of a name that a refusal repeats


def rows(
    url: str, body: bytes, *, known: Sequence[str], required: Sequence[str]
) -> Iterator[tuple[int, Mapping[str, str] | BadRow]]:
    """Yield (line it starts on, column -> value without blanks around) of each row with content.

    A row that has too few or too many fields is a `BadRow`. Raises `FeedMalformedError` for what is
    no such table: not UTF-8, not CSV, a column that is unknown, repeated or missing.
    """
    text = _text(url, body)
    line = next((line for line in io.StringIO(text) if line.strip()), "")
    if not line:
        raise FeedMalformedError(f"{url}: is empty; the first row is the header")
    delimiter = max(DELIMITERS, key=lambda sign: sum(name in known for name in _names(line, sign)))
    header: list[str] | None = None
    for number, fields in _records(url, text, delimiter):
        if header is None:
            header = [field.lower() for field in fields]
            _check_header(url, number, header, known, required)
        elif len(fields) != len(header):
            why = f"has {len(fields)} fields, the header has {len(header)}"
            yield number, BadRow(number, "", "", why)
        else:
            yield number, dict(zip(header, fields, strict=True))


def refuse(url: str, bad: Sequence[BadRow]) -> None:
    """Raise `FeedMalformedError` naming the first of the ``bad`` rows, if there are any."""
    if not bad:
        return
    said = [str(row) for row in bad[:SHOWN]]
    if len(bad) > SHOWN:
        said.append(f"and {len(bad) - SHOWN} more")
    raise FeedMalformedError(f"{url}: {'; '.join(said)}")


def _text(url: str, body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        row = body.count(b"\n", 0, error.start) + 1
        raise FeedMalformedError(
            f"{url}: row {row}: is not UTF-8; save the file as UTF-8"
        ) from error


def _names(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip().lower() for name in next(csv.reader([line], delimiter=delimiter))]
    except (csv.Error, StopIteration):
        return []


def _records(url: str, text: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begins = 1
    try:
        for cells in reader:
            fields = [cell.strip() for cell in cells]
            if any(fields):
                yield begins, fields
            begins = reader.line_num + 1
    except csv.Error as error:
        raise FeedMalformedError(f"{url}: row {begins}: is not CSV: {error}") from error


def _check_header(
    url: str, row: int, header: list[str], known: Sequence[str], required: Sequence[str]
) -> None:
    bad = []
    if unknown := [name for name in header if name not in known]:
        names = ", ".join(repr(name[:NAME_SHOWN]) for name in unknown[:SHOWN])
        more = f" and {len(unknown) - SHOWN} more" if len(unknown) > SHOWN else ""
        bad.append(BadRow(row, "", "", f"{names}{more}: no such column; known: {', '.join(known)}"))
    bad += [
        BadRow(row, name, "", "stands twice in the header")
        for name in known
        if header.count(name) > 1
    ]
    bad += [
        BadRow(row, name, "", "is missing from the header")
        for name in required
        if name not in header
    ]
    refuse(url, bad)
