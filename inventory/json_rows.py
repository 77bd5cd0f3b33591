"""JSON that others write in place of a CSV file: objects, one a line, read as its rows.

So are the answers of AWS's command line about an inventory. The keys of the objects are the
columns; a list of words is one cell, anything deeper none. Any other JSON is left as it is, to be
refused as no CSV.
"""

import csv
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any

import msgspec

from inventory import json_text, text_file
from inventory.refusals import Refusal
from inventory.text_file import Text
from patchmgr.errors import BadFileError, BadRow

LARGEST = 64 << 20  # bytes of a document that is read as a whole
MOST_COLUMNS = 100  # a short object becomes a row of them all
LINES, WHOLE = "JSON lines", "JSON"

_RESOURCE = "resourceId"  # whose the entries are, as AWS's own JSON lines call it
_TYPES = {"hosts": "AWS:InstanceInformation", "packages": "AWS:Application"}  # of an inventory


@contextmanager
def opened(path: Path, kind: str, encoding: str = "") -> Iterator[Text]:
    """Yield the file at ``path`` as `text_file.opened` does, rewritten as CSV if it is such JSON.

    Row n of that is line n of JSON lines, or entry n of a document. What a document has of the
    other ``kind``, of "hosts" and "packages", is left out.
    """
    with (
        text_file.opened(path, encoding) as text,
        tempfile.TemporaryDirectory(prefix="patchmgr-import-") as folder,
    ):
        yield _as_csv(text, kind, Path(folder) / "rows")


def _as_csv(text: Text, kind: str, copy: Path) -> Text:
    with text.plain.open(encoding="utf-8-sig") as lines:
        first = next((line for line in islice(lines, 100) if line.strip()), "")
    if not first.startswith("{"):
        return text
    if (entry := _object(first)) is not None and not _is_answer(entry):
        _write(copy, lambda: _of_lines(text), text.path.name)
        return replace(text, plain=copy, form=LINES)
    if text.plain.stat().st_size > LARGEST:
        return text
    try:
        document = json_text.load(text.plain.read_text(encoding="utf-8-sig"), text.path.name)
    except BadFileError:
        return text
    if not isinstance(document, dict) or not _is_answer(document):
        return text
    entries = list(_of_answer(document, _TYPES[kind]))
    if not entries:
        why = Refusal.NO_ENTRIES.said(type=_TYPES[kind])
        raise BadFileError(text.path.name, [BadRow(0, "", "", why)])
    _write(copy, lambda: iter(entries), text.path.name)
    return replace(text, plain=copy, form=WHOLE)


def _object(line: str) -> dict[str, Any] | None:
    try:
        found = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _of_lines(text: Text) -> Iterator[dict[str, Any]]:
    with text.plain.open(encoding="utf-8-sig") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                yield {}
                continue
            if (entry := _object(line)) is None:
                why = Refusal.NO_OBJECT.said()
                raise BadFileError(text.path.name, [BadRow(number, "", line[:40].strip(), why)])
            yield entry


def _is_answer(document: dict[str, Any]) -> bool:
    """Return whether a document is what AWS's command line says of an inventory."""
    lists = ("Entries", "Entities", "InstanceInformationList")
    return any(isinstance(document.get(name), list) for name in lists)


def _of_answer(document: dict[str, Any], wanted: str) -> Iterator[dict[str, Any]]:
    """Yield the entries of list-inventory-entries, get-inventory, describe-instance-information.

    Of get-inventory, which has several types of entries of each instance: those of ``wanted``.
    """
    for entry in _objects(document.get("Entries")):
        yield entry | {_RESOURCE: document.get("InstanceId")}
    yield from _objects(document.get("InstanceInformationList"))
    for entity in _objects(document.get("Entities")):
        data = entity.get("Data")
        named = data.get(wanted) if isinstance(data, dict) else None
        content = named.get("Content") if isinstance(named, dict) else None
        for entry in _objects(content):
            yield entry | {_RESOURCE: entity.get("Id")}


def _objects(value: object) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _write(copy: Path, entries: Any, file: str) -> None:
    """Write ``entries()``, which is asked twice, as CSV: what they all have, then each."""
    columns: dict[str, None] = {}
    for entry in entries():
        columns.update(dict.fromkeys(map(_line, entry)))
        if len(columns) > MOST_COLUMNS:
            why = Refusal.MANY_KEYS.said(most=MOST_COLUMNS)
            raise BadFileError(file, [BadRow(0, "", "", why)])
    names = list(columns)
    with copy.open("w", encoding="utf-8", errors="replace", newline="") as rows:
        writer = csv.writer(rows, lineterminator="\n")
        writer.writerow(names)
        for entry in entries():
            cells = {_line(key): _cell(value) for key, value in entry.items()}
            writer.writerow([cells.get(name, "") for name in names] if cells else [])


def _cell(value: object) -> str:
    if isinstance(value, list):
        return _line(" ".join(each for each in value if isinstance(each, str)))
    if isinstance(value, bool):
        return str(value).lower()
    return _line(str(value)) if isinstance(value, str | int | float) else ""


def _line(text: str) -> str:
    return " ".join(text.split())
