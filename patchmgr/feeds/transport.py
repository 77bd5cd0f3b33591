"""The one door to HTTP: bounded in time and size, patient, and wary of where it is sent."""

import hashlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urljoin, urlsplit

import requests
import urllib3

from patchmgr.errors import FeedError, FeedGoneError, FeedMalformedError, FeedUnreachableError
from patchmgr.feeds.connections import Watch, WatchedAdapter, refuse_address, refuse_name
from patchmgr.feeds.crawl import Document
from patchmgr.feeds.formats.labels import says_its_digest
from patchmgr.feeds.kept import NOTHING, Kept, Nothing
from patchmgr.feeds.unpack import MIB

USER_AGENT = "patchmgr (+feeds)"
CHUNK = 1 << 16  # bytes
REDIRECTS = 5
PROXY_ERRORS = (requests.exceptions.ProxyError, urllib3.exceptions.ProxyError)
GONE = (HTTPStatus.NOT_FOUND, HTTPStatus.GONE)
PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)  # with all 5xx


@dataclass(frozen=True, slots=True)
class Limits:
    """What one document may cost."""

    connect: float = 10  # seconds
    read: float = 60  # seconds between two pieces
    total: float = 900  # seconds for the whole document, retries included
    sync: float = 3 * 3600  # seconds for all documents of a feed
    size: int = 512 * MIB  # bytes as sent
    attempts: int = 4
    backoff: float = 1  # seconds before the second attempt, doubled each time
    patience: float = 120  # seconds that a server's Retry-After may ask for


@dataclass(frozen=True, slots=True)
class Known:
    """What is already known of a document, as its server named it."""

    etag: str = ""
    last_modified: str = ""


class _PassingError(Exception):
    """Trouble that may be over at the next attempt."""

    def __init__(self, why: str, wait: float = 0) -> None:
        super().__init__(why)
        self.wait = wait  # seconds that the server asked for


class Transport:
    """A `crawl.Fetch` over HTTP that asks a server only for what has changed."""

    def __init__(
        self,
        known: Mapping[str, Known],
        limits: Limits,
        sleep: Callable[[float], None] = time.sleep,
        progress: Callable[[str], None] = lambda _stage: None,
        *,
        proxy: str = "",
        kept: Kept | Nothing = NOTHING,
    ) -> None:
        """``proxy`` is asked instead of the servers, ``kept`` has what a sync cut short fetched."""
        self._known = known
        self._kept = kept
        self._limits = limits
        self._end = time.monotonic() + limits.sync
        self._sleep = sleep
        self._progress = progress
        self._watch = Watch()
        self._session = requests.Session()
        self._session.auth = _no_credentials
        # Named one by one, so that no proxy comes in from the environment unseen.
        self._proxies = dict.fromkeys(("http", "https", "all"), proxy or None)
        self._looked_up: set[str] = set()
        self._session.headers.update(
            {"User-Agent": USER_AGENT, "Accept-Encoding": "gzip", "Connection": "close"}
        )
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, WatchedAdapter(self._watch))

    def __call__(self, url: str, *, unless_known: bool) -> Document | None:
        """Return the document, or None if ``unless_known`` and its server says it is unchanged.

        Raises `FeedUnreachableError` when it cannot be had, `FeedMalformedError` when it is larger
        than the limit.
        """
        known = self._known.get(url) if unless_known else None
        kept = self._kept.get(url)
        if kept is None:
            return self._fetch(url, known)
        asked = Known(kept.etag, kept.last_modified)
        fetched = None if says_its_digest(url) else self._fetch(url, asked)
        if fetched is None and asked != known:
            return kept
        return fetched

    def _fetch(self, url: str, known: Known | None) -> Document | None:
        """Return the document, or None if it is still the one that is ``known``."""
        headers = _conditions(known)
        deadline = min(time.monotonic() + self._limits.total, self._end)
        if deadline <= time.monotonic():
            raise FeedUnreachableError(
                f"{url}: not reached in the {self._limits.sync:g} seconds that a sync may take;"
                " the next one goes on from there"
            )
        for attempt in range(1, self._limits.attempts + 1):
            try:
                return self._attempt(url, headers, deadline)
            except _PassingError as trouble:
                self._wait(url, trouble, attempt, deadline)
        raise AssertionError("the last attempt raises")

    def _wait(self, url: str, trouble: _PassingError, attempt: int, deadline: float) -> None:
        """Sleep before the next attempt. Raises `FeedUnreachableError` when there is none."""
        jitter = random.uniform(0.5, 1.5)  # noqa: S311 -- so that a fleet of servers does not ask at once
        pause = max(self._limits.backoff * 2 ** (attempt - 1) * jitter, trouble.wait)
        tried = f"{url}: {trouble}, at attempt {attempt}"
        if attempt == self._limits.attempts or trouble.wait > self._limits.patience:
            raise FeedUnreachableError(tried) from trouble
        if time.monotonic() + pause > deadline:
            raise FeedUnreachableError(f"{tried}; no time left for another") from trouble
        self._sleep(pause)

    def _attempt(self, url: str, headers: dict[str, str], deadline: float) -> Document | None:
        """Follow redirects to the document and read it. Raises `_PassingError`, `FeedError`."""
        remaining = max(deadline - time.monotonic(), 0.001)
        at = url
        with self._watch.until(remaining):
            for _hop in range(REDIRECTS + 1):
                try:
                    with self._open(at, headers, remaining) as answer:
                        if not answer.is_redirect:
                            return self._read(url, answer, bool(headers))
                        at = _next(at, answer.headers["Location"])
                except FeedError as error:
                    if str(error).startswith(f"{url}: "):
                        raise
                    raise type(error)(f"{url}: {error}") from error  # such as a redirect's
                except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
                    if self._watch.is_over:
                        raise FeedUnreachableError(
                            f"{url}: not complete after {self._limits.total:g} seconds"
                        ) from error
                    raise _trouble(url, error) from error
        raise FeedUnreachableError(f"{url}: more than {REDIRECTS} redirects")

    def _open(self, url: str, headers: dict[str, str], remaining: float) -> requests.Response:
        refuse_address(url)
        if self._proxies["http"] and (host := urlsplit(url).hostname) not in self._looked_up:
            refuse_name(url)
            self._looked_up.add(host or "")
        return self._session.get(
            url,
            proxies=dict(self._proxies),  # type: ignore[arg-type] # None means none to requests
            headers=headers,
            timeout=(min(self._limits.connect, remaining), min(self._limits.read, remaining)),
            stream=True,
            allow_redirects=False,
        )

    def _read(self, url: str, answer: requests.Response, conditional: bool) -> Document | None:
        status = answer.status_code
        if status == HTTPStatus.NOT_MODIFIED and conditional:
            return None
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status in PASSING:
            raise _PassingError(_said(answer), _retry_after(answer))
        if status in GONE:
            raise FeedGoneError(f"{url}: {_said(answer)}")
        if status != HTTPStatus.OK:
            raise FeedUnreachableError(f"{url}: {_said(answer)}")
        body = self._body(url, answer)
        return Document(
            body,
            answer.headers.get("ETag", ""),
            answer.headers.get("Last-Modified", ""),
            hashlib.sha256(body).hexdigest(),
        )

    def _body(self, url: str, answer: requests.Response) -> bytes:
        """Return the body as sent, a content encoding included: it is unpacked within bounds."""
        limit = self._limits.size
        length = answer.headers.get("Content-Length", "")
        whole = f" of {int(length) / MIB:.1f}" if length.isdecimal() and len(length) < 20 else ""
        body = bytearray()
        for chunk in answer.raw.stream(CHUNK, decode_content=False):
            body += chunk
            self._progress(f"fetched {len(body) / MIB:.1f}{whole} MiB")
            if len(body) > limit:
                raise FeedMalformedError(
                    f"{url}: larger than {limit / MIB:.0f} MiB, which is refused"
                )
        if self._watch.is_over:  # where nothing says how long the body is, a cut looks like its end
            raise urllib3.exceptions.ProtocolError("cut at the deadline")
        return bytes(body)


def _next(at: str, location: str) -> str:
    following = urljoin(at, location)
    if urlsplit(at).scheme == "https" and urlsplit(following).scheme != "https":
        raise FeedUnreachableError(f"{at}: redirects from https to {following}")
    return following


def _conditions(known: Known | None) -> dict[str, str]:
    if known is None:
        return {}
    if known.etag:
        return {"If-None-Match": known.etag}
    return {"If-Modified-Since": known.last_modified} if known.last_modified else {}


def _said(answer: requests.Response) -> str:
    return f"the server says {answer.status_code} {answer.reason or ''}".rstrip()


def _retry_after(answer: requests.Response) -> float:
    """Return the seconds that Retry-After asks to wait, 0 without or with an unreadable one."""
    text = answer.headers.get("Retry-After", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - time.time(), 0)
    except (ValueError, TypeError, OverflowError):
        return 0


def _trouble(url: str, error: Exception) -> Exception:
    """Return what to raise for a failed exchange: some failures do not pass by waiting."""
    for cause in _causes(error):
        if isinstance(cause, FeedError):
            return FeedUnreachableError(f"{url}: {cause}")
        if isinstance(cause, (requests.exceptions.SSLError, urllib3.exceptions.SSLError)):
            return FeedUnreachableError(f"{url}: {error}")
    if isinstance(error, requests.exceptions.InvalidURL):
        return FeedUnreachableError(f"{url}: {error}")
    return _PassingError(_reason(error))


def _reason(error: Exception) -> str:
    """Return in words what went wrong with a connection."""
    causes = list(_causes(error))
    at = "the proxy: " if any(isinstance(each, PROXY_ERRORS) for each in causes) else ""
    for cause in causes:
        if isinstance(cause, urllib3.exceptions.NameResolutionError):
            return f"{at}its name cannot be resolved"
        if isinstance(cause, urllib3.exceptions.IncompleteRead):
            return "the body is cut off"
        if isinstance(cause, OSError) and cause.strerror:
            return at + cause.strerror.lower()
    if any(isinstance(cause, (TimeoutError, requests.Timeout)) for cause in causes):
        return f"{at}no answer in the time allowed"
    return f"{at}the connection failed: {error}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield ``error`` and what it wraps: as its reason, its cause, or one of its arguments."""
    current: object = error
    while isinstance(current, BaseException):
        yield current
        inner = [arg for arg in current.args if isinstance(arg, BaseException)]
        current = (
            getattr(current, "reason", None)
            or (inner[0] if inner else None)
            or current.__cause__
            or current.__context__
        )


def _no_credentials(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from sending what the user's .netrc says for a host."""
    return request
