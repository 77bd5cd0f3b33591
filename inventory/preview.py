"""What is in a file, and what importing it would do: shown before anything is changed."""

import csv
import difflib
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

from inventory import csv_file, csv_header, json_rows, sources, text_file
from inventory.csv_file import Watch
from inventory.csv_header import NO_PRESET, REASON, Head, Kind, Reading
from inventory.difference import Difference, Then
from inventory.host_import import import_hosts
from inventory.package_import import import_packages
from inventory.presets import IGNORE
from inventory.sources import KINDS
from patchmgr.db.session import Database
from patchmgr.errors import BadFileError, InputError

SAMPLES = 5  # rows shown
SAMPLE = 80  # characters of a cell
REJECTS_SHOWN = 100
GONE_SHOWN = 1000  # hosts that a person can choose among; the API and the command line take all
UNFED_SHOWN = 50  # releases
REJECTS = ".rejects.csv"  # after the stored name
_HINTS = {  # what others call our columns
    "hostname": (
        "host",
        "host name",
        "fqdn",
        "dns name",
        "name",
        *(
            each + name
            for each in ("server", "computer", "machine", "node", "system", "device", "vm")
            for name in ("", " name")
        ),
    ),
    "external_id": ("id", "uuid", "asset id", "asset", "cmdb id", "instance id", "serial"),
    "os_id": ("distribution id", "os id"),
    "os": ("distribution", "distro", "os name", "operating system", "operatingsystem", "platform"),
    "os_release": ("release", "os version", "version id", "os release"),
    "arch": ("architecture", "cpu"),
    "environment": ("env", "stage", "tier"),
    "site": ("location", "datacenter", "data center", "dc", "region"),
    "owner": ("team", "responsible", "contact", "group"),
    "criticality": ("priority", "importance", "business criticality"),
    "exposure": ("zone", "internet facing", "network"),
    "tags": ("labels",),
    "window": ("maintenance window", "patch window"),
    "ring": ("wave", "patch group"),
    "manager": ("package manager", "type"),
    "name": ("package", "package name", "pkg", "software"),
    "version": ("package version", "installed version", "installed"),
    "source": ("source package", "src"),
    "source_version": ("source package version",),
}


def look(
    db: Database,
    path: Path,
    *,
    kind: str,
    mode: str,
    how: Reading,
    source: str = "",
    full_export: bool = False,
    actor: str,
    now: datetime,
    watch: Watch | None = None,
) -> dict[str, Any]:
    """Return what is in a file and what importing it would do, as JSON.

    ``said`` (how it was read), ``columns`` (name, ours, suggestion, samples), ``missing``
    (required columns that nothing stands for), ``problem`` (why it cannot be read at all), and
    unless one of these stops it ``summary``, ``changes`` and ``gone`` of the good rows,
    ``rejected`` and the first ``rejects``. Of a ``source``: whether it is a ``new_source``, beside
    which ``sources``. Writes the bad rows beside the file.
    """
    found: dict[str, Any] = {"problem": "", "columns": [], "missing": [], "rejected": 0}
    if source:
        with db.reading() as session:
            found |= sources.standing(session, source)
    try:
        found |= _described(path, KINDS[kind], how)
        taken = [each["ours"] for each in found["columns"] if each["ours"] not in ("", IGNORE)]
        if twice := sorted({name for name in taken if taken.count(name) > 1}):
            problem = f"two columns stand for {twice[0]}; leave one of them out"
            return found | {"problem": problem}
        unclear = any(not column["ours"] for column in found["columns"])
        if found["missing"] or unclear:
            return found
        difference = carry_out(
            db,
            path,
            kind=kind,
            mode=mode,
            how=how,
            source=source,
            full_export=full_export,
            actor=actor,
            now=now,
            watch=watch,
            dry_run=True,
            rejects=rejects_file(path.parent, path.name),
        )
    except BadFileError as error:
        return found | {"problem": str(error.rows[0]) if error.rows else "cannot be read"}
    except InputError as error:
        return found | {"problem": str(error)}
    _set_aside(path, difference)
    return found | outcome(difference)


def carry_out(
    db: Database,
    path: Path,
    *,
    kind: str,
    mode: str,
    how: Reading,
    source: str = "",
    full_export: bool = False,
    retire: Any = (),
    actor: str,
    now: datetime,
    dry_run: bool = False,
    rejects: Path | None = None,
    watch: Watch | None = None,
    then: Then | None = None,
) -> Difference:
    """Import a file of either kind, or try to."""
    if kind == "packages":
        return import_packages(
            db,
            path,
            actor=actor,
            now=now,
            mode=mode,
            how=how,
            dry_run=dry_run,
            rejects=rejects,
            watch=watch,
            then=then,
        )
    return import_hosts(
        db,
        path,
        actor=actor,
        now=now,
        how=how,
        dry_run=dry_run,
        rejects=rejects,
        source=source,
        full_export=full_export,
        retire=retire,
        watch=watch,
        then=then,
    )


def outcome(difference: Difference) -> dict[str, Any]:
    """Return a difference as what is shown of it."""
    return {
        "said": difference.layout.said if difference.layout else "",
        "summary": difference.summary(),
        "changes": [asdict(change) for change in difference.changes],
        "gone": difference.gone[:GONE_SHOWN],
        "retired": difference.retired[:GONE_SHOWN],
        "unread": difference.unread,
        "unfed": difference.unfed[:UNFED_SHOWN],
        "not_judged": difference.not_judged,
        "not_judged_why": list(difference.not_judged_why),
        "rejected": difference.rejected,
        "rejects": [
            {"row": bad.row, "column": bad.column, "value": bad.value[:200], "remedy": bad.remedy}
            for bad in difference.refused[:REJECTS_SHOWN]
        ],
    }


def rejects_file(uploads: Path, stored: str) -> Path:
    """Return where the rows of an upload that cannot be taken are written."""
    return uploads / f"{stored}{REJECTS}"


def _set_aside(path: Path, difference: Difference) -> None:
    left = rejects_file(path.parent, path.name)
    left.unlink(missing_ok=True)
    if difference.refused and difference.layout is not None:
        csv_file.write_rejects(left, difference.layout, difference.refused)


def _described(path: Path, kind: Kind, how: Reading) -> dict[str, Any]:
    """Return how a file is read and what its columns are."""
    with json_rows.opened(path, kind.name, how.encoding) as text:
        head = csv_header.find(text, kind, how)
        samples = _samples(text, head)
        problem = refused = ""
        try:
            preset = csv_header.preset_of(head, kind, how)
            if preset is not None and preset.refused:
                refused, preset = f"{preset.title}: {preset.refused}", None
            ours = csv_header.renamed(head.names, kind, how, preset)
        except InputError as error:  # a mapping that was made for another file
            problem, preset, bare = str(error), None, Reading(preset=NO_PRESET)
            ours = csv_header.renamed(head.names, kind, bare, None)
        columns = _columns(head.names, samples, kind.columns, ours)
        layout = csv_file.Layout(
            text,
            head.delimiter,
            head.names,
            {},
            head.lines,
            preset.name if preset else "",
            above=head.above,
        )
        return {
            "said": layout.said,
            "delimiter": head.delimiter,
            "encoding": text.encoding,
            "preset": layout.preset,
            "columns": columns,
            "problem": problem or refused,
            "missing": [] if refused else kind.missing(ours, preset),
            "first_row": layout.first,
        }


def _samples(text: text_file.Text, head: Head) -> list[list[str]]:
    """Return the first rows below the header; a row that is not CSV ends them."""
    found: list[list[str]] = []
    with csv_header.open_text(text) as lines:
        for _ in range(head.lines):
            lines.readline()
        reader = csv.reader(lines, delimiter=head.delimiter)
        try:
            found.extend(islice((row for row in reader if row), SAMPLES))
        except csv.Error:
            return found  # the import says which row it is
    return found


def _columns(
    names: Sequence[str],
    samples: Sequence[Sequence[str]],
    known: Sequence[str],
    stands_for: Sequence[str],
) -> list[dict[str, Any]]:
    ours = [
        IGNORE if each == REASON else each if each in (*known, IGNORE) else ""
        for each in stands_for
    ]
    free = [name for name in known if name not in ours]
    found = []
    for position, name in enumerate(names):
        suggestion = "" if ours[position] else _suggestion(name, free)
        if suggestion:
            free.remove(suggestion)
        found.append(
            {
                "name": name,
                "ours": ours[position],
                "suggestion": suggestion,
                "samples": [
                    row[position][:SAMPLE] if position < len(row) else "" for row in samples
                ],
            }
        )
    return found


def _suggestion(name: str, free: Sequence[str]) -> str:
    """Return which of the columns not yet in the file ``name`` probably means; "" when unclear."""
    plain = " ".join(name.lower().replace("_", " ").replace("-", " ").split())
    for column in free:
        if plain == column.replace("_", " ") or plain in _HINTS.get(column, ()):
            return column
    close = difflib.get_close_matches(plain.replace(" ", "_"), free, n=1, cutoff=0.8)
    return close[0] if close else ""
