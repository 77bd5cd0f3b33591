"""One question over HTTP to an address that a person named: no redirects, no metadata addresses."""

import time
from dataclasses import dataclass

import requests
import urllib3

from patchmgr.errors import FeedError, FeedUnreachableError
from patchmgr.feeds.connections import Watch, WatchedAdapter, refuse_address
from patchmgr.feeds.transport import USER_AGENT

MOST_BYTES = 1_000_000  # of an answer; what comes after is not looked at


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    body: bytes


def ask(url: str, *, params: dict[str, str] | None = None, timeout: float) -> Reply:
    """Return what ``url`` answers to a GET within ``timeout`` seconds.

    Raises `FeedUnreachableError` when there is no answer, or the address may not be asked.
    """
    refuse_address(url)
    watch = Watch()
    end = time.monotonic() + timeout
    with requests.Session() as session, watch.until(timeout):
        session.trust_env = False  # no proxy and no credentials from the environment
        for scheme in ("http://", "https://"):
            session.mount(scheme, WatchedAdapter(watch))
        try:
            with session.get(
                url,
                params=params,
                headers={"User-Agent": USER_AGENT, "Connection": "close"},
                timeout=timeout,
                stream=True,
                allow_redirects=False,
            ) as answer:
                return Reply(answer.status_code, _body(answer, end))
        except FeedError:
            raise
        except (requests.RequestException, urllib3.exceptions.HTTPError, OSError) as error:
            why = f"no answer within {timeout:g} seconds" if watch.is_over else _why(error)
            raise FeedUnreachableError(why) from error


def _body(answer: requests.Response, end: float) -> bytes:
    body = b""
    for chunk in answer.iter_content(65536):
        body += chunk
        if len(body) >= MOST_BYTES or time.monotonic() > end:
            break
    return body[:MOST_BYTES]


def _why(error: Exception) -> str:
    return "no answer in time" if isinstance(error, requests.Timeout) else "no connection"
