"""The fields of a scenario, read one by one; what is wrong is named by its path."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from patchmgr.domain import durations
from patchmgr.domain.simulation.behaviour import Span
from patchmgr.errors import InputError


@contextmanager
def located(path: str, *, is_table: bool = False) -> Iterator[None]:
    """Put the path of a field before what is wrong with it."""
    try:
        yield
    except InputError as error:
        raise InputError(
            {
                f"{path}.{name.split(' of ', 1)[0]}" if is_table and name else path: why
                for name, why in error.problems.items()
            }
        ) from error


def each_of(documents: object, at: str, most: int) -> Iterator[tuple[str, object]]:
    if not isinstance(documents, list):
        raise InputError({at: "a list of tables"})
    if len(documents) > most:
        raise InputError({at: f"at most {most}"})
    for number, one in enumerate(documents):
        yield f"{at}[{number}]", one


def read_table(value: object, at: str, keys: Iterable[str]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise InputError({at: "a table"})
    known = tuple(keys)
    if unknown := sorted(str(key) for key in value if key not in known):
        path = unknown[0] if at == "scenario" else f"{at}.{unknown[0]}"
        raise InputError({path: f"no such field; there are {', '.join(known)}"})
    return value


def read_word(value: object, at: str) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str) or len(value) > 500 or not (value.isprintable() or not value):
        raise InputError({at: f"{str(value)[:80]!r} is not a text of up to 500 characters"})
    return value


def read_words(value: object, at: str) -> tuple[str, ...]:
    values = value.split() if isinstance(value, str) else value
    if not isinstance(values, list):
        raise InputError({at: "a list of words"})
    return tuple(read_word(one, f"{at}[{number}]") for number, one in enumerate(values))


def read_count(value: object, at: str, least: int, most: int) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InputError({at: f"a whole number from {least} to {most}"})
    return value


def read_rate(value: object, at: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InputError({at: "a share from 0 to 1"})
    return float(value)


def read_length(value: object, at: str) -> timedelta:
    if not isinstance(value, str):
        raise InputError({at: "a duration such as 24h, 90m or PT4H, in quotes"})
    with located(at):
        return durations.parse(value)


def maybe_length(row: Mapping[str, Any], name: str) -> timedelta | None:
    return None if row.get(name) is None else read_length(row[name], name)


def read_span(value: object, at: str) -> Span:
    if not isinstance(value, list):
        length = read_length(value, at)
        return length, length
    if len(value) != 2:
        raise InputError({at: "a duration, or a list of the shortest and the longest"})
    low, high = (read_length(one, f"{at}[{number}]") for number, one in enumerate(value))
    if low > high:
        raise InputError({at: "the first is the shortest"})
    return low, high


def read_instant(value: object, at: str) -> datetime:
    try:
        read = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
        if read.tzinfo is None:
            raise InputError({at: f"{value} has no zone; write 2026-03-27T18:00:00Z"})
        moved = read.astimezone(UTC)
    except (ValueError, OverflowError):
        raise InputError({at: f"{str(value)[:80]!r} is not an ISO 8601 time"}) from None
    if not 1990 <= moved.year <= 2100:
        raise InputError({at: "from 1990 to 2100"})
    return moved
