"""Files that the plan commands read: ring settings and results."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from patchmgr.domain import plain_documents
from patchmgr.domain.groups import GroupSettings, stages_from_json
from patchmgr.domain.rings import RingSettings
from patchmgr.errors import InputError

LARGEST = 128 << 20  # bytes of a file of results


def read_stages(path: Path) -> tuple[tuple[RingSettings, ...], tuple[GroupSettings, ...]]:
    """Return the rings and groups of a TOML or JSON file (docs/plans.md).

    Raises `InputError` that names the file and what is wrong with it.
    """
    document = parsed(path)
    try:
        return stages_from_json(document)
    except InputError as error:
        raise InputError({str(path): str(error)}) from error


def parsed(path: Path, largest: int = plain_documents.LONGEST) -> Any:
    """Return what a JSON or TOML file says, - for stdin. Raises `InputError` that names it."""
    body = read_bytes(path, largest)
    try:
        text = body.decode("utf-8-sig")
        form = "json" if _is_json(text, path.suffix.lower()) else "toml"
        return plain_documents.read(text, form, largest)
    except UnicodeDecodeError as error:
        row = body[: error.start].count(b"\n") + 1
        raise InputError({str(path): f"row {row} is not UTF-8; save it as UTF-8"}) from error
    except InputError as error:
        raise InputError({str(path): str(error)}) from error


def _is_json(text: str, suffix: str) -> bool:
    return suffix == ".json" or (suffix != ".toml" and text.lstrip().startswith(("{", "[{")))


def read_document(path: Path) -> Mapping[str, Any]:
    """Return the policy in a TOML or JSON file, or on stdin for ``-``. Raises `InputError`."""
    document = parsed(path)
    if not isinstance(document, Mapping):
        raise InputError({str(path): "a policy is a table of settings"})
    return document


def read_bytes(path: Path, largest: int = LARGEST) -> bytes:
    """Return what is in ``path``, - for stdin. Raises `InputError`, also for more than that."""
    try:
        if str(path) == "-":
            body = sys.stdin.buffer.read(largest + 1)
        else:
            with path.open("rb") as file:
                body = file.read(largest + 1)
    except OSError as error:
        raise InputError({str(path): error.strerror or "cannot be read"}) from error
    if len(body) > largest:
        raise InputError({str(path): f"is larger than {largest >> 20} MiB, which is refused"})
    return body


def write_bytes(path: Path, body: bytes) -> None:
    """Write ``body`` to ``path``. Raises `InputError`."""
    try:
        path.write_bytes(body)
    except OSError as error:
        raise InputError({str(path): error.strerror or "cannot be written"}) from error
