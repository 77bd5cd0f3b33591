"""JSON that others wrote: whole, of bounded depth, and asked for what it should hold."""

from typing import Any

import msgspec

from patchmgr.errors import BadFileError, BadRow

Object = dict[str, Any]


class UnexpectedError(ValueError):
    """A value is not of the kind that stands there."""

    def __init__(self, key: str, value: object) -> None:
        super().__init__(key)
        self.key = key
        self.value = value


def load(text: str, file: str) -> Any:
    """Return the document in ``text``. Raises `BadFileError` when it is not whole JSON."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise refused(file, "", f"is not whole JSON ({error})") from error
    except RecursionError as error:
        raise refused(file, "", "is nested deeper than any inventory is") from error


def refused(file: str, where: str, why: str) -> BadFileError:
    """Return the error that ``why`` is to be said of ``where`` in the document."""
    return BadFileError(file, [BadRow(0, where, "", why)])


def an_object(value: object, where: str, file: str) -> Object:
    """Return ``value`` if it is an object. Raises `BadFileError`."""
    if not isinstance(value, dict):
        raise refused(file, where, "is no JSON object")
    return value


def objects(value: object, where: str, file: str) -> list[Object]:
    """Return ``value`` if it is a list of objects; nothing for null. Raises `BadFileError`."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise refused(file, where, "is no JSON list")
    return [an_object(each, f"{where}[{place}]", file) for place, each in enumerate(value)]


def text_in(entry: Object, key: str) -> str:
    """Return the text under ``key``, "" when there is none. Raises `UnexpectedError`.

    A whole number counts as its digits: epochs are written both ways.
    """
    value = entry.get(key)
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise UnexpectedError(key, value)
    return value.strip()
