"""Files that the plan commands read: ring settings and results."""

import json
import tomllib
from pathlib import Path

from patchmgr.domain.groups import GroupSettings, stages_from_json
from patchmgr.domain.rings import RingSettings
from patchmgr.errors import InputError


def read_stages(path: Path) -> tuple[tuple[RingSettings, ...], tuple[GroupSettings, ...]]:
    """Return the rings and groups of a TOML or JSON file (docs/plans.md).

    Raises `InputError` that names the file and what is wrong with it.
    """
    text = read_text(path)
    try:
        document = parsed(text, path.suffix.lower())
        return stages_from_json(document)
    except (json.JSONDecodeError, tomllib.TOMLDecodeError) as error:
        raise InputError({str(path): f"cannot be read: {error}"}) from error
    except InputError as error:
        raise InputError({str(path): str(error)}) from error


def read_text(path: Path) -> str:
    """Return the text of ``path``. Raises `InputError`."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError({str(path): getattr(error, "strerror", None) or "is not UTF-8"}) from error


def parsed(text: str, suffix: str) -> object:
    """Return what a JSON or TOML text says; raises the error of whichever it is."""
    if suffix == ".json":
        return json.loads(text)
    if suffix != ".toml" and text.lstrip().startswith(("{", "[{")):
        return json.loads(text)
    return tomllib.loads(text)


def read_bytes(path: Path) -> bytes:
    """Return what is in ``path``. Raises `InputError`."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError({str(path): error.strerror or "cannot be read"}) from error


def write_bytes(path: Path, body: bytes) -> None:
    """Write ``body`` to ``path``. Raises `InputError`."""
    try:
        path.write_bytes(body)
    except OSError as error:
        raise InputError({str(path): error.strerror or "cannot be written"}) from error
