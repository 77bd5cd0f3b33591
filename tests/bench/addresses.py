"""Every page and listing that can be asked for, found from links, forms and the API's document.

Nothing is listed by hand: a page is found by following links, a few of each kind; its filters,
orders and columns by its forms; an operation of the API by its document, and what stands in its
path by the listing above it. A route that is not found so fails the sweep.
"""

import html
import re
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule

EACH = 2  # addresses of one kind: the same page and parameters
# Neither a page nor a listing: files, a plan played through, what only a form leads to, probes of
# the service itself.
LEFT_OUT = re.compile(
    r"^/(static|healthz|readyz|metrics|sign-out|sign-in|agent\.)|\.ics$|/files/|/rejects|/work\.<"
    r"|^/api/v1/(docs|openapi\.json)|/export$|/uploads/|/simulation$"
)
# What a page asks for by itself, besides what a person follows.
LINK = r'(?:href|data-live)="(/[^"#]*)'
CHOICES = 50  # rows of a listing, of which one may lead on where the first does not
SEEDS = (
    "/",
    "/hosts/host000042",
    "/hosts/host000042/past?at=2100-01-01",
    "/search?q=src0042",
    "/plans/1/not-planned",
)
SEARCHES = ("0042", "src", "nothing-like-it")
PLACES = {"cve": "CVE-2026-10001"}  # in a path without a listing above it
WORDS = {
    "platform": ("debian:12",),
    "environment": ("production", "nowhere"),
    "site": ("site3",),
    "owner": ("payments",),
    "ring": ("canary",),
    "window": ("nights",),
    "host": ("host000042",),
    "other": ("host000043",),
    "manager": ("dpkg",),
    "package": ("libsrc0004-1",),
    "name": ("libsrc0004-1",),
    "advisory": ("ORG-00003",),
    "cve": ("CVE-2026-10003",),
    "feed": ("csv", "debian"),
    "search": SEARCHES,
    "below": ("999",),
    "above": ("1",),
    "version": ("2",),
    "zone": ("Europe/Vienna",),
    "from": ("2026-01-01", "2026-01-01T00:00:00Z"),
    "to": ("2100-01-01T00:00:00Z",),
    "at": ("2100-01-01T00:00:00Z",),
    "state": ("running", "queued"),
    "start": ("",),
    "soak": ("12h",),
}
NUMBERS = {"weeks": 12, "max_concurrent": 500, "version": 1, "revision": 1, "exception_id": 1}

Get = Callable[[str], Any]  # address -> answer of the test client


def pages(get: Get, routes: Map) -> tuple[list[str], list[str]]:
    """Return the addresses of the console, and the routes to which nothing led."""
    found: dict[str, None] = {}
    kinds: dict[str, int] = {}
    reached: set[str] = set()
    match = routes.bind("")
    queue = list(SEEDS)
    while queue:
        address = queue.pop(0)
        path, query = urlsplit(address).path, parse_qsl(urlsplit(address).query)
        if address in found or path.startswith("/api/") or "format=csv" in address:
            continue
        try:
            rule, _ = match.match(path, return_rule=True)
        except HTTPException:  # no address of ours
            continue
        kind = f"{rule.endpoint} {[n if n != 'sort' else (n, v) for n, v in query]}"
        if LEFT_OUT.search(rule.rule) or LEFT_OUT.search(path) or kinds.get(kind, 0) >= EACH:
            continue
        answer = get(address)
        reached.add(rule.endpoint)
        if answer.status_code == 302 or (not answer.is_json and answer.mimetype != "text/html"):
            continue
        kinds[kind] = kinds.get(kind, 0) + 1
        found[address] = None
        text = answer.text
        queue += [html.unescape(link) for link in re.findall(LINK, text)]
        queue += tried(text)
        if not query:
            found.update(dict.fromkeys(asked(path, text)))
    wanted = [rule for rule in routes.iter_rules() if is_page(rule)]
    missing = sorted(rule.rule for rule in wanted if rule.endpoint not in reached)
    return list(found), missing


def is_page(rule: Rule) -> bool:
    return "GET" in rule.methods and not (
        rule.rule.startswith("/api/") or LEFT_OUT.search(rule.rule)
    )


def asked(path: str, text: str) -> Iterator[str]:
    """Yield what the forms of a list can ask for: each filter in each order, searches, columns."""
    form = re.search(r'<form class="list-tools".*?</form>', text, re.DOTALL)
    if form is None:
        return
    orders = dict.fromkeys(re.findall(r"[?&;]sort=([-a-z_]+)", text))
    filters = [
        (name, html.unescape(value))
        for name, options in re.findall(
            r'<select[^>]* name="([a-z_]+)"(.*?)</select>', form.group(), re.DOTALL
        )
        for value in re.findall(r'<option value="([^"]+)"', options)
    ]
    if 'name="q"' in form.group():
        filters += [("q", word) for word in SEARCHES]
    if 'type="datetime-local"' in text and 'name="at"' in text:
        filters += [("at", word) for word in WORDS["at"]]
    for filter_, order in product([None, *filters], [None, *orders]):
        given = dict([filter_] if filter_ else []) | ({"sort": order} if order else {})
        if given:
            yield f"{path}?{urlencode(given)}"
    if columns := re.findall(r'name="cols" value="([a-z_]+)"', text):
        yield f"{path}?{urlencode({'cols': sorted(set(columns))}, doseq=True)}"


def tried(text: str) -> Iterator[str]:
    """Yield what the forms of a page that ask something can ask, as far as `WORDS` knows it."""
    forms = re.findall(
        r'<form class="stack" method="get" action="(/[^"]+)"(.*?)</form>', text, re.DOTALL
    )
    for action, form in forms:
        for name in re.findall(r' name="([a-z_]+)"', form):
            yield from (
                f"{action}?{urlencode({name: word})}" for word in WORDS.get(name, ()) if word
            )


def listings(get: Get, document: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the addresses of the API's reads, and the operations that could not be asked for."""
    found: list[str] = []
    missing: list[str] = []
    for template, operations in document["paths"].items():
        if "get" not in operations or LEFT_OUT.search(template):
            continue
        path = _filled(get, template)
        if path is None:
            missing.append(template)
            continue
        found += _variants(path, operations["get"].get("parameters", ()))
    return found, missing


def _filled(get: Get, template: str) -> str | None:
    """Return a path with something that there is in each of its places; None: there is nothing."""
    return next(_fillings(get, template), None)


def _fillings(get: Get, template: str) -> Iterator[str]:
    """Yield ``template`` with what there is in each of its places; not all of a row leads on."""
    place = re.search(r"\{([a-z_]+)\}", template)
    if place is None:
        yield template
        return
    before, name = template[: place.start()].rstrip("/"), place.group(1)
    values = [PLACES[name]] if name in PLACES else _choices(get(before), name)
    for value in values:
        filled = template[: place.start()] + quote(str(value), safe="") + template[place.end() :]
        yield from _fillings(get, filled)


def _choices(answer: Any, name: str) -> list[Any]:
    """Return what the first rows of a listing have for a place."""
    rows = answer.get_json(silent=True) if answer.status_code == 200 else None
    rows = rows.get("items", rows) if isinstance(rows, dict) else rows
    if not isinstance(rows, list):
        return []
    keys = (name, "name", "ref", "id") if not name.endswith("_id") else ("id",)
    found = (next((row[key] for key in keys if key in row), None) for row in rows[:CHOICES])
    return [value for value in found if value is not None]


def _variants(path: str, parameters: Any) -> Iterator[str]:
    """Yield an address with the largest page for each value of each parameter, in each order."""
    of_query = [one for one in parameters if one["in"] == "query"]
    fixed: dict[str, Any] = {}
    filters: list[tuple[str, Any]] = []
    orders: list[Any] = []
    for one in of_query:
        name, schema = one["name"], one["schema"]
        values = _values(name, schema)
        if name == "limit":
            fixed[name] = schema["maximum"]
        elif name == "sort":
            orders = values
        elif one.get("required"):
            fixed[name] = values[0]
        elif name != "cursor":
            filters += [(name, value) for value in values if value != ""]
    for filter_, order in product([None, *filters], orders or [None]):
        given = fixed | dict([filter_] if filter_ else []) | ({"sort": order} if order else {})
        yield f"{path}?{urlencode(given)}" if given else path


def _values(name: str, schema: Mapping[str, Any]) -> list[Any]:
    """Return what a parameter can be. Raises `SystemExit` where this file has to be told."""
    if "enum" in schema:
        return list(schema["enum"])
    if schema.get("type") == "boolean":
        return ["true", "false"]
    if name in NUMBERS and "string" not in str(schema):
        return [NUMBERS[name]]
    if name in ("limit", "cursor"):
        return []
    if name in WORDS:
        return list(WORDS[name])
    raise SystemExit(f"tests/bench/addresses.py: say in WORDS what the parameter {name!r} can be")
