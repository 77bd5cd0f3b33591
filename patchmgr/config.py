"""Settings: one frozen value, read once from the environment or the file it names.

Every setting can be given as ``PATCHMGR_<NAME>`` or as ``<name>`` in the TOML file that
``PATCHMGR_CONFIG`` names; the environment wins. An unknown name is an error, so that a misspelt
setting never silently keeps its default. Two settings are there for each feed, by its name:
``PATCHMGR_REDHAT_CSAF_URL``, ``PATCHMGR_REDHAT_CSAF_HOURS``.
"""

import contextlib
import os
import pkgutil
import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

from patchmgr.domain import plain_documents
from patchmgr.domain.numbers import whole
from patchmgr.errors import InputError, SettingsError

PREFIX = "PATCHMGR_"
FOR_EVER = ("keep_history_days", "keep_findings_days", "keep_jobs_days", "keep_reports_days")
MAY_BE_ZERO = {"proxy_hops", "feed_shrink_percent", *FOR_EVER}  # 0 keeps everything
LARGEST_NUMBER = 10**6  # of a setting that has no other limit: ages of the clock, no more
YEAR = 8760  # hours
CENTURY = 36_525  # days
LARGEST = {
    "feed_shrink_percent": 100,
    "feed_hours": YEAR,
    **dict.fromkeys(FOR_EVER, CENTURY),
}
RENAMED = {"sync_hours": "feed_hours"}
BY_FEED = ("mirrors", "hours")  # fields that hold the settings of single feeds
FEEDS = frozenset(  # found by their files: to import them all would take longer than most commands
    module.name.replace("_", "-")
    for module in pkgutil.iter_modules([str(Path(__file__).parent / "feeds" / "vendors")])
)
KEYRINGS = Path("/usr/share/keyrings")  # where distributions put the keys of their archives
SECRET_FILE = "secret-key"  # noqa: S105 -- the name of a file, not a secret


@dataclass(frozen=True, slots=True)
class Settings:
    """What the service runs with. The docs table in docs/settings.md is compared by a test."""

    home: Path  # data directory
    database_url: str  # default: SQLite in the home
    secret_key: str  # signs session cookies and CSRF tokens; made on first start
    mirrors: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # by feed
    hours: Mapping[str, int] = field(default_factory=dict)  # between syncs, by feed
    feed_hours: int = 6  # hours between syncs of any other feed
    feed_proxy: str = ""  # that feeds are fetched through
    feed_shrink_percent: int = 20  # by how much a feed may shrink before a person is asked
    archive_keys: str = ""  # directory of OpenPGP keyrings; default: the distribution's
    scan_minutes: int = 15  # minutes between scans
    tick_seconds: int = 15  # seconds between rollout ticks
    exception_days: int = 180  # the longest that an exception may last, but a false positive
    exception_four_eyes: bool = False  # an approver's own exception needs another one too
    silent_days: int = 7  # a host without inventory for longer is unknown
    stale_feed_hours: int = 48  # a feed without a good sync for longer is a blind spot
    cookie_secure: bool = False  # set when served over HTTPS
    proxy_hops: int = 0  # reverse proxies in front whose X-Forwarded headers are trusted
    session_hours: int = 12  # hours a sign-in lasts
    idle_minutes: int = 60  # minutes without a request that end a sign-in
    upload_mb: int = 256  # largest upload, MiB
    keep_history_days: int = 0  # days that what hosts were like is kept; 0: for ever, as below
    keep_findings_days: int = 0  # days that closed findings are kept
    keep_jobs_days: int = 0  # days that runs of jobs are kept, of the newest 500 of each
    keep_reports_days: int = 0  # days that reports that were made are kept

    @property
    def uploads(self) -> Path:
        return self.home / "uploads"

    @property
    def reports(self) -> Path:
        return self.home / "reports"

    @property
    def fetched(self) -> Path:
        """Where documents are kept of syncs that were cut short, a folder for each feed."""
        return self.home / "feeds"

    def history_since(self, now: datetime) -> datetime | None:
        """Return the instant before which what hosts were like is not kept; None: all of it is."""
        return _kept_since(now, self.keep_history_days)

    def findings_since(self, now: datetime) -> datetime | None:
        """Return the instant before which closed findings are not kept; None: all of them are."""
        return _kept_since(now, self.keep_findings_days)

    def hours_of(self, feed: str) -> int:
        return self.hours.get(feed, self.feed_hours)


def _kept_since(now: datetime, days: int) -> datetime | None:
    return now - timedelta(days=days) if days else None


def load(environ: Mapping[str, str]) -> Settings:
    """Return the settings that ``environ`` and the file it names give.

    Makes the home directory and the secret key (mode 0600) on first use. Raises `SettingsError`.
    """
    values = _from_file(environ.get(PREFIX + "CONFIG"))
    values.update(_from_environment(environ))
    mirrors = {feed: values.pop(name) for name, feed in _named(values, "_url")}
    hours = {feed: _number(name, values.pop(name), YEAR) for name, feed in _named(values, "_hours")}
    known = {each.name for each in fields(Settings)} - set(BY_FEED)
    if unknown := sorted(set(values) - known):
        raise SettingsError({PREFIX + name.upper(): _no_setting(name) for name in unknown})
    home = Path(values.pop("home", "") or _default_home(environ)).expanduser().absolute()
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        secret = values.pop("secret_key", "") or _secret(home / SECRET_FILE)
    except OSError as error:
        raise SettingsError({PREFIX + "HOME": f"{home}: {error.strerror}"}) from error
    url = values.pop("database_url", "") or f"sqlite:///{home / 'patchmgr.db'}"
    return Settings(
        home=home,
        database_url=url,
        secret_key=secret,
        mirrors={feed: _addresses(feed, text) for feed, text in mirrors.items() if text.strip()},
        hours=hours,
        **{name: _convert(name, text) for name, text in values.items()},  # type: ignore[arg-type] # each converted to its field's own type
    )


def _named(values: Mapping[str, str], ending: str) -> list[tuple[str, str]]:
    """Return the names in ``values`` that are a feed's and ``ending``, each with that feed."""
    of_feeds = {feed.replace("-", "_") + ending: feed for feed in FEEDS}
    return [(name, of_feeds[name]) for name in values if name in of_feeds]


def _no_setting(name: str) -> str:
    if name in RENAMED:
        return f"is called {PREFIX}{RENAMED[name].upper()} now"
    return "no such setting; see docs/settings.md"


def _addresses(feed: str, text: str) -> tuple[str, ...]:
    for url in text.split():
        _check_address(PREFIX + feed.replace("-", "_").upper() + "_URL", url)
    return tuple(dict.fromkeys(text.split()))


def _from_file(path: str | None) -> dict[str, str]:
    if not path:
        return {}
    try:
        with Path(path).open(encoding="utf-8") as file:
            document = plain_documents.read(file.read(plain_documents.LONGEST + 1), "toml")
    except OSError as error:
        raise SettingsError({PREFIX + "CONFIG": f"{path}: {error.strerror}"}) from error
    except (InputError, UnicodeDecodeError) as error:
        raise SettingsError({PREFIX + "CONFIG": f"{path}: {error}"}) from error
    return {name: _text(value) for name, value in document.items()}


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _from_environment(environ: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix(PREFIX).lower(): value
        for name, value in environ.items()
        if name.startswith(PREFIX) and name != PREFIX + "CONFIG"
    }


def _convert(name: str, text: str) -> str | int | bool:
    kind = next(each.type for each in fields(Settings) if each.name == name)
    if kind is bool:
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off", ""):
            return False
        raise SettingsError({PREFIX + name.upper(): f"{text!r} is not yes or no"})
    if kind is int:
        return _number(name, text, LARGEST.get(name))
    if name == "feed_proxy" and text:
        _check_address(PREFIX + name.upper(), text)
    return text


def _number(name: str, text: str, most: int | None) -> int:
    most = LARGEST_NUMBER if most is None else most
    if not (text.isascii() and text.isdigit()) or not (text.strip("0") or name in MAY_BE_ZERO):
        why = f"{text[:80]!r} is not a whole number above zero"
        raise SettingsError({PREFIX + name.upper(): why})
    if (number := whole(text.lstrip("0") or "0", most)) is None:
        raise SettingsError({PREFIX + name.upper(): f"{text[:80]!r} is more than {most}"})
    return number


def _check_address(setting: str, url: str) -> None:
    """Raise `SettingsError` for what is no web address, or would show a password with the feed."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 -- looks at the port, which may be none
    except ValueError as error:
        raise SettingsError({setting: f"is no address: {error}"}) from error
    if parts.username or parts.password:
        raise SettingsError({setting: "names a user or password, and feeds are asked without one"})
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise SettingsError({setting: f"{url!r} is not an http or https address"})


def _default_home(environ: Mapping[str, str]) -> Path:
    state = environ.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(state) / "patchmgr"


def _secret(path: Path) -> str:
    """Return the key kept in ``path``, made there first when missing; two starters get one key."""
    if not path.exists():
        # A file of its own for each starter, threads included; mkstemp makes it 0600.
        descriptor, draft = tempfile.mkstemp(prefix=f"{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(32))
        with contextlib.suppress(FileExistsError):
            os.link(draft, path)  # whole or not at all; the first one stays
        Path(draft).unlink()
    return path.read_text(encoding="ascii").strip()
