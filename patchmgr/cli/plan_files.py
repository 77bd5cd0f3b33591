"""Files that the plan commands read: ring settings and results."""

import json
import sys
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from patchmgr.domain.groups import GroupSettings, stages_from_json
from patchmgr.domain.rings import RingSettings
from patchmgr.errors import InputError
from patchmgr.services import policy_files


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
    return json.loads(text) if _is_json(text, suffix) else tomllib.loads(text)


def _is_json(text: str, suffix: str) -> bool:
    return suffix == ".json" or (suffix != ".toml" and text.lstrip().startswith(("{", "[{")))


def read_document(path: Path) -> Mapping[str, Any]:
    """Return the policy in a TOML or JSON file, or on stdin for ``-``. Raises `InputError`."""
    body = sys.stdin.buffer.read() if str(path) == "-" else read_bytes(path)
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError({str(path): "is not UTF-8"}) from error
    try:
        return policy_files.parsed(text, "json" if _is_json(text, path.suffix.lower()) else "toml")
    except InputError as error:
        raise InputError({str(path): str(error)}) from error


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
