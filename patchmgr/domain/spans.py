"""Spans of time that must be kept, put together where they meet."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From after ``start`` until and with ``end``."""

    start: datetime
    end: datetime


def merged(spans: Iterable[Span]) -> tuple[Span, ...]:
    """Return the fewest spans that cover the same time, in order."""
    found: list[Span] = []
    for span in sorted(spans):
        if found and span.start <= found[-1].end:
            found[-1] = Span(found[-1].start, max(found[-1].end, span.end))
        else:
            found.append(span)
    return tuple(found)
