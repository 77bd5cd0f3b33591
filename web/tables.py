"""The one table: what its columns and filters are, and how the address says what is shown.

A listing's address holds everything: ``q`` and the filters, ``sort`` (``-name`` for descending),
``cols`` (columns chosen), ``cursor`` and ``from`` (which page), ``format=csv``. So a filtered view
is a link, and its CSV is exactly that view, all pages of it.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from urllib.parse import urlencode

from flask import Response, render_template, request, stream_with_context
from flask.typing import ResponseReturnValue
from werkzeug.datastructures import MultiDict

from patchmgr.db.queries.paging import Page
from patchmgr.errors import InputError
from web import show, times

PAGE = 50
CSV_PAGE = 1000
FORMULA = (
    "=",
    "+",
    "-",
    "@",
    "\t",
    "\r",
)  # first characters that a spreadsheet takes for a formula

Options = Sequence[tuple[str, str]]  # value in the address, words for people


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``value`` gives its plain value for CSV and for cells without a macro."""

    key: str
    label: str
    value: Callable[[Any], object] | None = None
    sort: bool = False
    descending: bool = False  # the first click sorts descending
    one_way: bool = False  # the query knows one direction only
    numeric: bool = False
    shown: bool = True  # unless the viewer chooses columns

    def of(self, row: Any) -> object:
        return self.value(row) if self.value else getattr(row, self.key)


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of the address; with options a choice, else free text, or an instant."""

    name: str
    label: str
    options: Options = ()
    is_choice: bool = True
    is_time: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    name: str  # of the CSV file: "hosts"
    columns: tuple[Column, ...]
    filters: tuple[Filter, ...] = ()
    sort: str = ""  # default, as in the address
    search: str = ""  # what the search box says; empty for no box


@dataclass(frozen=True, slots=True)
class View:
    """What the address asks for: only names and values that the table knows."""

    table: Table
    path: str
    values: Mapping[str, str]  # ``q`` and filters that are set
    sort: str
    chosen: tuple[str, ...]  # keys of chosen columns; empty for the usual ones
    cursor: str
    start: int  # rows before this page
    options: Mapping[str, Options]
    instants: Mapping[str, datetime] = field(default_factory=dict)  # of the filters that are one
    problems: Mapping[str, str] = field(default_factory=dict)  # with what cannot be read

    @property
    def columns(self) -> list[Column]:
        if not self.chosen:
            return [column for column in self.table.columns if column.shown]
        first = self.table.columns[0]
        return [c for c in self.table.columns if c is first or c.key in self.chosen]

    @property
    def q(self) -> str:
        return self.values.get("q", "")

    @property
    def sort_key(self) -> str:
        return self.sort.removeprefix("-")

    @property
    def is_descending(self) -> bool:
        return self.sort.startswith("-")

    @property
    def is_filtered(self) -> bool:
        return bool(self.values)

    def get(self, name: str) -> str:
        """Return the value of a filter; empty when it is not set."""
        return self.values.get(name, "")

    def at(self, name: str = "at") -> datetime | None:
        """Return the instant that a filter names; None when it is not set."""
        return self.instants.get(name)

    def address(self, **changes: str | int | None) -> str:
        """Return this view's address with changes; None drops a part, and any change its page."""
        parts: dict[str, Any] = dict(self.values)
        if self.sort != self.table.sort:
            parts["sort"] = self.sort
        if self.chosen:
            parts["cols"] = list(self.chosen)
        parts.update(changes)
        kept = {name: value for name, value in parts.items() if value not in (None, "")}
        return f"{self.path}?{urlencode(kept, doseq=True)}" if kept else self.path

    def sorted_by(self, column: Column) -> str:
        """Return the address that sorts by ``column``, the other way when it does already."""
        if self.sort_key == column.key and not column.one_way:
            return self.address(sort=column.key if self.is_descending else f"-{column.key}")
        first = f"-{column.key}" if column.descending and not column.one_way else column.key
        return self.address(sort=first)

    def direction(self, column: Column) -> str:
        """Return ``ascending`` or ``descending`` where the rows are sorted by ``column``."""
        if self.sort_key != column.key:
            return ""
        down = column.descending if column.one_way else self.is_descending
        return "descending" if down else "ascending"

    @property
    def chips(self) -> list[tuple[str, str, str]]:
        """Return label, words and the address without it, for each filter that is set."""
        found = []
        for one in self.table.filters:
            if (value := self.values.get(one.name)) is not None:
                words = dict(self.options.get(one.name, one.options)).get(value, value)
                if (at := self.at(one.name)) is not None:
                    words = show.exact(at)
                found.append((one.label, words, self.address(**{one.name: None})))
        return found


@dataclass(frozen=True, slots=True)
class Fetched:
    """One page of rows, how many there are in all, and where the next page starts ("": nowhere)."""

    rows: Sequence[Any]
    total: int
    next: str = ""

    @classmethod
    def of(cls, page: Page[Any]) -> "Fetched":
        """Return what a query's page holds."""
        return cls(page.lines, page.total, page.next or "")

    @classmethod
    def part(cls, rows: Sequence[Any], limit: int, cursor: str | None) -> "Fetched":
        """Return a page of rows that are all here; its cursor is how many come before it."""
        start = int(cursor) if cursor and cursor.isascii() and cursor.isdigit() else 0
        rest = str(start + limit) if len(rows) > start + limit else ""
        return cls(rows[start : start + limit], len(rows), rest)


@dataclass(frozen=True, slots=True)
class Listing:
    view: View
    fetched: Fetched

    @property
    def rows(self) -> Sequence[Any]:
        return self.fetched.rows

    @property
    def total(self) -> int:
        return self.fetched.total

    @property
    def first(self) -> int:
        return self.view.start + 1

    @property
    def last(self) -> int:
        return self.view.start + len(self.rows)

    @property
    def next_page(self) -> str | None:
        if not self.fetched.next:
            return None
        return self.view.address(cursor=self.fetched.next, **{"from": self.last})


Fetch = Callable[[View, int, str | None], Fetched]  # view, rows wanted, cursor (None: first page)


def read(
    table: Table, arguments: MultiDict[str, str], options: Mapping[str, Options] | None = None
) -> View:
    """Return the view that the address asks for; what the table does not know is left out."""
    options = options or {}
    values = {"q": q} if table.search and (q := arguments.get("q", "").strip()) else {}
    for one in table.filters:
        value = arguments.get(one.name, "").strip()
        known = {option for option, _ in options.get(one.name, one.options)}
        if value and (not one.is_choice or one.is_time or value in known):
            values[one.name] = value
    instants, problems = _instants(table, values)
    keys = {column.key for column in table.columns}
    sort = arguments.get("sort", "")
    sortable = {column.key for column in table.columns if column.sort}
    start = arguments.get("from", "0")
    return View(
        table=table,
        path=request.path,
        values=values,
        sort=sort if sort.removeprefix("-") in sortable else table.sort,
        chosen=tuple(key for key in arguments.getlist("cols") if key in keys),
        cursor=arguments.get("cursor", ""),
        start=int(start) if start.isascii() and start.isdigit() and len(start) < 10 else 0,
        options={**{one.name: one.options for one in table.filters}, **options},
        instants=instants,
        problems=problems,
    )


def _instants(
    table: Table, values: Mapping[str, str]
) -> tuple[dict[str, datetime], dict[str, str]]:
    """Return what the filters of ``table`` that are instants say, and what they do not."""
    found: dict[str, datetime] = {}
    problems: dict[str, str] = {}
    for one in table.filters:
        if one.is_time and one.name in values:
            try:
                found[one.name] = times.as_of(values[one.name], one.name)
            except InputError as error:
                problems |= error.problems
    return found, problems


def answer(
    template: str,
    table: Table,
    fetch: Fetch,
    *,
    options: Mapping[str, Options] | None = None,
    path: str = "",
    **values: Any,
) -> ResponseReturnValue:
    """Answer with the page of the view that the address asks for, or with its CSV.

    ``template`` gets ``listing`` beside ``values``; ``options`` gives choices of filters that
    depend on the data; ``path`` is the page's own, where a part of it is asked for. Where an
    instant cannot be read, nothing is fetched and the page says so beside it.
    """
    view = _asked(table, options, path)
    if request.args.get("format") == "csv":
        if view.problems:
            raise InputError(view.problems)
        return _csv(view, fetch)
    return render_template(template, listing=_fetched(view, fetch), **values)


def listing(table: Table, fetch: Fetch, *, path: str) -> Listing:
    """Return the rows of the view that the address asks for, for a part of the page ``path``."""
    return _fetched(_asked(table, None, path), fetch)


def _asked(table: Table, options: Mapping[str, Options] | None, path: str) -> View:
    view = read(table, request.args, options)
    return replace(view, path=path) if path else view


def _fetched(view: View, fetch: Fetch) -> Listing:
    return Listing(
        view, Fetched((), 0) if view.problems else fetch(view, PAGE, view.cursor or None)
    )


def plain(rows: Sequence[Any], table: Table, **values: str) -> Listing:
    """Return a listing of rows that are all here: no pages, for short tables inside a page."""
    view = View(table, request.path, values, table.sort, (), "", 0, {})
    return Listing(view, Fetched(rows, len(rows)))


def _csv(view: View, fetch: Fetch) -> Response:
    name = f"{view.table.name}.csv"
    return Response(
        stream_with_context(_csv_lines(view, fetch)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def _csv_lines(view: View, fetch: Fetch) -> Iterator[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([column.key for column in view.columns])
    cursor: str | None = None
    while True:
        fetched = fetch(view, CSV_PAGE, cursor)
        writer.writerows([_plain(c.of(row)) for c in view.columns] for row in fetched.rows)
        yield text.getvalue()
        text.seek(0)
        text.truncate()
        if not fetched.next:
            return
        cursor = fetched.next


def _plain(value: object) -> str:
    """Return a cell as text that no spreadsheet takes for a formula."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, tuple | list):
        value = " ".join(str(one) for one in value)
    if isinstance(value, Enum):
        return str(getattr(value, "word", value.value))
    text = str(value)
    is_number = isinstance(value, int | float)
    return f"'{text}" if text.startswith(FORMULA) and not is_number else text
