"""Documents of plain values as TOML text: what `tomllib` reads back is what was written.

Source: TOML 1.0.0. Covers tables, arrays of tables, and values: texts, whole and other numbers,
true and false, lists, and tables inside lists or beside values (inline).
"""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

_BARE = re.compile(r"[A-Za-z0-9_-]+", re.ASCII)


def write(document: Mapping[str, Any]) -> str:
    """Return ``document`` as TOML, plain values first. None has no form there: leave it out."""
    return "\n".join(_table(document, ())).strip("\n") + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines = [
        f"{_key(name)} = {_value(value)}"
        for name, value in table.items()
        if not _is_table(value, path) and not _is_tables(value)
    ]
    for name, value in table.items():
        here = (*path, name)
        header = ".".join(map(_key, here))
        if _is_table(value, path):
            lines += ["", f"[{header}]", *_table(value, here)]
        elif _is_tables(value):
            for one in value:
                lines += ["", f"[[{header}]]", *_table(one, here)]
    return lines


def _is_table(value: object, path: tuple[str, ...]) -> bool:
    return isinstance(value, Mapping) and not path  # below the top they are written inline


def _is_tables(value: object) -> bool:
    return (
        isinstance(value, Sequence)
        and not isinstance(value, str)
        and bool(value)
        and all(isinstance(one, Mapping) for one in value)
    )


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(name)} = {_value(one)}" for name, one in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(_value, value))}]"
    raise TypeError(f"{type(value).__name__} has no form in TOML")


def _text(text: str) -> str:
    """Return a basic string. JSON escapes alike, but for DEL, which TOML wants escaped too."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
