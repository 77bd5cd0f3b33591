"""Settings: one frozen value, read once from the environment or the file it names.

Every setting can be given as ``PATCHMGR_<NAME>`` or as ``<name>`` in the TOML file that
``PATCHMGR_CONFIG`` names; the environment wins. An unknown name is an error, so that a misspelt
setting never silently keeps its default.
"""

import contextlib
import os
import secrets
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

from patchmgr.errors import SettingsError

PREFIX = "PATCHMGR_"
MAY_BE_ZERO = {"proxy_hops"}
SECRET_FILE = "secret-key"  # noqa: S105 -- the name of a file, not a secret


@dataclass(frozen=True, slots=True)
class Settings:
    """What the service runs with. The docs table in docs/settings.md is compared by a test."""

    home: Path  # data directory
    database_url: str  # default: SQLite in the home
    secret_key: str  # signs session cookies and CSRF tokens; made on first start
    debian_url: str = "https://security-tracker.debian.org/tracker/data/json"
    epss_url: str = "https://epss.empiricalsecurity.com/epss_scores-current.csv.gz"
    kev_url: str = (
        "https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json"
    )
    sync_hours: int = 6  # hours between syncs of a feed
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

    @property
    def uploads(self) -> Path:
        return self.home / "uploads"

    @property
    def reports(self) -> Path:
        return self.home / "reports"


def load(environ: Mapping[str, str]) -> Settings:
    """Return the settings that ``environ`` and the file it names give.

    Makes the home directory and the secret key (mode 0600) on first use. Raises `SettingsError`.
    """
    values = _from_file(environ.get(PREFIX + "CONFIG"))
    values.update(_from_environment(environ))
    known = {field.name for field in fields(Settings)}
    if unknown := sorted(set(values) - known):
        raise SettingsError(
            {PREFIX + name.upper(): "no such setting; see docs/settings.md" for name in unknown}
        )
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
        **{name: _convert(name, text) for name, text in values.items()},  # type: ignore[arg-type] # each converted to its field's own type
    )


def _from_file(path: str | None) -> dict[str, str]:
    if not path:
        return {}
    try:
        document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError({PREFIX + "CONFIG": f"{path}: {error.strerror}"}) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
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
    kind = next(field.type for field in fields(Settings) if field.name == name)
    if kind is bool:
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off", ""):
            return False
        raise SettingsError({PREFIX + name.upper(): f"{text!r} is not yes or no"})
    if kind is int:
        if text.isascii() and text.isdigit() and (int(text) or name in MAY_BE_ZERO):
            return int(text)
        raise SettingsError({PREFIX + name.upper(): f"{text!r} is not a whole number above zero"})
    if name.endswith("_url"):
        _check_feed_url(PREFIX + name.upper(), text)
    return text


def _check_feed_url(setting: str, url: str) -> None:
    """Raise `SettingsError` for what is no web address, or would show a password with the feed."""
    try:
        parts = urlsplit(url)
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
