"""Until when releases of Debian and Ubuntu get security updates, and which packages do not.

Source: distro-info-data (``debian.csv``, ``ubuntu.csv``: each date is the last day of support, see
distro_info.py), and debian-security-support (``security-support-ended.debN``: packages whose
support ended earlier than their release's, ``security-support-limited``: packages with conditions).
The names of the files say of what they speak. A name of a package that ends with ``.*`` is that of
all which begin so (``golang.*``); it is kept as it stands.
"""

import csv
import re
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from typing import ClassVar

from patchmgr.domain.lifecycle import Support
from patchmgr.errors import FeedMalformedError
from patchmgr.feeds.base import Feed, Page, SetAside
from patchmgr.feeds.formats.names import is_name
from patchmgr.feeds.formats.text import shortened

SITE = "https://debian.pages.debian.net/distro-info-data/"
LEVELS = {  # column -> level, in the order in which they follow each other
    "eol": "standard",
    "eol-server": "standard",
    "eol-lts": "lts",
    "eol-elts": "elts",
    "eol-esm": "esm",
    "eol-legacy": "legacy",
}
ODD_SHARE = 4  # more than one line in this many: not such a list at all

_RELEASES = ("version", "codename", "series", "created", "release", "eol")
_DEBIAN_FILE = re.compile(r"security-support-(?P<level>ended|limited)(?:\.deb(?P<release>[0-9]+))?")
_DATE = re.compile(r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2}))?")
_PACKAGE = re.compile(r"[a-z0-9][a-z0-9+.-]*\*?")
_NEWEST = 30  # of Debian's releases, in the names of files


class Lifecycle(Feed):
    name: ClassVar[str] = "lifecycle"
    title: ClassVar[str] = "End of support (Debian, Ubuntu)"
    start: ClassVar[tuple[str, ...]] = (f"{SITE}debian.csv", f"{SITE}ubuntu.csv")
    suffixes: ClassVar[tuple[str, ...]] = (
        ".csv",
        "security-support-limited",
        *(f".deb{release}" for release in range(7, _NEWEST)),
    )
    serves: ClassVar[tuple[str, ...]] = ("debian", "ubuntu")
    judges: ClassVar[bool] = False

    def addresses(self, platforms: frozenset[str]) -> tuple[str, ...]:
        systems = {platform.partition(":")[0] for platform in platforms}
        return tuple(url for url in self.start if url.removeprefix(SITE)[:-4] in systems)

    def read(self, url: str, body: bytes, platform: str = "") -> Page:
        """Return what the file says of releases, or of packages on one.

        ``platform`` is for a list of packages whose name does not say on which release. Raises
        `FeedMalformedError` for what is neither, also when more than a quarter of it is odd.
        """
        try:
            text = body.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise FeedMalformedError(f"{url}: not UTF-8: {error}") from error
        name = url.rpartition("/")[2]
        if found := _DEBIAN_FILE.search(name):
            where = f"debian:{found['release']}" if found["release"] else platform
            return _packages(url, text, found["level"], where)
        return _releases(url, text, name)


def _releases(url: str, text: str, name: str) -> Page:
    rows = _rows(url, text)
    header = [cell.strip() for cell in next(rows, (0, []))[1]]
    if tuple(header[: len(_RELEASES)]) != _RELEASES:
        raise FeedMalformedError(
            f"{url}: neither a table of releases ({', '.join(_RELEASES)}, ...)"
            " nor named security-support-ended or -limited"
        )
    system = _system(url, name, header)
    support: list[Support] = []
    odd: list[SetAside] = []
    count = 0
    for line, cells in rows:
        count += 1
        row = dict(zip(header, (cell.strip() for cell in cells), strict=False))
        try:
            support += _of_release(system, row)
        except ValueError as error:
            odd.append(SetAside("", f"line {line}", f"{row.get('series', '')!r:.80}: {error}"))
    _refuse_if_odd(url, count, odd)
    return Page(set_aside=tuple(odd), support=tuple(support))


def _rows(url: str, text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(text.splitlines(), strict=True)
    try:
        for cells in reader:
            if any(cells):
                yield reader.line_num, cells
    except csv.Error as error:
        raise FeedMalformedError(f"{url}: line {reader.line_num}: not CSV: {error}") from error


def _system(url: str, name: str, header: list[str]) -> str:
    for system, own in (("debian", "eol-lts"), ("ubuntu", "eol-server")):
        if own in header or name.startswith(system):
            return system
    raise FeedMalformedError(f"{url}: name it debian.csv or ubuntu.csv, to say whose releases")


def _of_release(system: str, row: Mapping[str, str]) -> Iterator[Support]:
    """Yield what a row says; nothing of unstable, which has no release and no end."""
    version = row.get("version", "").partition(" ")[0]  # "22.04 LTS"
    if not version:
        return
    if not re.fullmatch(r"[0-9]+(\.[0-9]+)?", version):
        raise ValueError(f"{version[:40]!r} is no release")
    ends = {column: _last_day(row[column]) for column in LEVELS if row.get(column)}
    desktop, server = ends.pop("eol", None), ends.pop("eol-server", None)
    standard = max((day for day in (desktop, server) if day), default=None)
    note = f"desktops until {desktop}" if desktop and server and desktop < server else ""
    platform = f"{system}:{version}"
    yield Support(platform, "", LEVELS["eol"], _day_after(standard), note)
    for column, day in ends.items():
        yield Support(platform, "", LEVELS[column], _day_after(day))


def _last_day(text: str) -> date:
    """Return the date; a month alone means its last day, as in distro_info.py."""
    found = _DATE.fullmatch(text)
    if found is None:
        raise ValueError(f"{text[:40]!r} is no date")
    year, month, day = (int(part) if part else 0 for part in found.groups())
    if day:
        return date(year, month, day)
    return date(year + month // 12, month % 12 + 1, 1) - timedelta(days=1)


def _day_after(day: date | None) -> date | None:
    return day and day + timedelta(days=1)


def _packages(url: str, text: str, level: str, platform: str) -> Page:
    if not platform:
        raise FeedMalformedError(
            f"{url}: does not say which platform it speaks of; name it with --platform,"
            " such as debian:12"
        )
    if not text.strip():
        raise FeedMalformedError(f"{url}: the document is empty")
    support: list[Support] = []
    odd: list[SetAside] = []
    count = 0
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        count += 1
        try:
            support.append(_of_package(platform, level, line))
        except ValueError as error:
            odd.append(SetAside("", f"line {number}", str(error)))
    _refuse_if_odd(url, count, odd)
    return Page(set_aside=tuple(odd), support=tuple(support))


def _of_package(platform: str, level: str, line: str) -> Support:
    if level == "limited":
        name, *rest = line.split(maxsplit=1)
        return Support(platform, _name(name), level, None, shortened(" ".join(rest)))
    name, version, ended, *rest = [*line.split(maxsplit=3), "", ""]
    until = _last_day(ended)
    last = "" if version == "0" else f"supported until version {version[:80]}"
    note = "; ".join(filter(None, (last, rest[0].strip())))
    return Support(platform, _name(name), level, until, shortened(note))


def _name(text: str) -> str:
    if not is_name(text) or not _PACKAGE.fullmatch(text):
        raise ValueError(f"{text[:40]!r} is not the name of a package")
    return text


def _refuse_if_odd(url: str, count: int, odd: list[SetAside]) -> None:
    if len(odd) * ODD_SHARE > count:
        raise FeedMalformedError(
            f"{url}: {len(odd)} of {count} lines cannot be read,"
            f" such as {odd[0].where}: {odd[0].reason}"
        )
