"""Documents of plain values that people and programs write, JSON or TOML: read within bounds.

Whatever comes in is refused with words, and soon: text that is neither, values that no setting of
ours can have (numbers beyond 64 bits or without an end, halves of surrogate pairs, NUL), a name
given twice, and nesting that only an attacker needs.

Source: RFC 8259 and TOML 1.0.0, both of which let a reader set such limits.
"""

import json
import math
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NoReturn

from patchmgr.errors import InputError

FORMATS = ("json", "toml")
LONGEST = 1 << 20  # characters of a document, where its reader says nothing else
DEPTH = 32  # tables and lists inside each other
LARGEST_NUMBER = 2**63 - 1

_NO_TEXT = re.compile("[\\x00\\ud800-\\udfff]")
# Parts of one dotted name: Python's reader takes time and memory by their square.
_PART = r"""(?:"[^"\n]*"|'[^'\n]*'|(?<![\w-])[\w-]+)"""
_DOTTED = re.compile(rf"(?:{_PART}[ \t]*\.[ \t]*){{{DEPTH}}}")


def read(text: str, form: str, longest: int = LONGEST) -> Any:
    """Return what ``text`` says in ``form``, one of `FORMATS`. Raises `InputError`."""
    if len(text) > longest:
        raise InputError(f"cannot be read: it may have at most {longest} characters")
    try:
        if form == "json":
            document = json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)
        else:
            if _DOTTED.search(text):
                raise _too_deep()
            document = tomllib.loads(text)
    except RecursionError as error:
        raise _too_deep() from error
    except ValueError as error:
        why = "a number in it is too long" if "digits" in str(error) else _short(str(error))
        raise InputError(f"cannot be read as {form}: {why}") from error
    return checked(document)


def checked(document: Any) -> Any:
    """Return ``document`` if all its values can be settings. Raises `InputError` naming one."""
    if why := _wrong(document):
        raise InputError(why)
    names: list[str | int] = []  # of the value looked at, outermost first
    levels = [_inside(document)]
    while levels:
        found = next(levels[-1], None)
        if found is None:
            levels.pop()
            if names:
                names.pop()
            continue
        name, value = found
        if why := (isinstance(name, str) and _wrong(name)) or _wrong(value):
            raise InputError({_place([*names, name]): why})
        if isinstance(value, Mapping | list):
            if len(levels) == DEPTH:
                raise _too_deep()
            names.append(name)
            levels.append(_inside(value))
    return document


def _inside(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        return iter(value.items())
    return enumerate(value) if isinstance(value, list) else iter(())


def _place(names: Sequence[str | int]) -> str:
    """Return where a value stands, such as ``rings[1].soak``."""
    said = (f"[{name}]" if isinstance(name, int) else f".{_short(name)}" for name in names)
    return "".join(said).removeprefix(".")


def _wrong(value: object) -> str:
    """Return what is wrong with a value that holds no others; "" for nothing."""
    if isinstance(value, str):
        if _NO_TEXT.search(value):
            return "has a sign that is no text"
    elif isinstance(value, float):
        if not math.isfinite(value):
            return "is no finite number"
    elif isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        return "is a number of more than 64 bits"
    return ""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in pairs:
        if name in found:
            raise ValueError(f"the name {_short(name)!r} is given twice in one object")
        found[name] = value
    return found


def _no_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")


def _too_deep() -> InputError:
    return InputError("cannot be read: it is nested too deeply")


def _short(text: str) -> str:
    shown = _NO_TEXT.sub("?", text[:80])
    return shown if len(text) <= 80 else shown + "…"
