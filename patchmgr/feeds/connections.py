"""Connections that are watched: where they lead, and that they end in time."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import urllib3
from requests.adapters import HTTPAdapter

from patchmgr.errors import FeedUnreachableError

# Where clouds hand out credentials to whoever asks from inside the machine.
METADATA = tuple(
    ip_network(text)
    for text in (
        "169.254.0.0/16",
        "fe80::/10",
        "fd00:ec2::254/128",
        "100.100.100.200/32",
        "192.0.0.192/32",
    )
)


class Watch:
    """Checks each new connection's far end, and cuts the connection at the deadline."""

    def __init__(self) -> None:
        self.is_over = False
        self._socket: socket.socket | None = None

    def check(self, connected: socket.socket) -> socket.socket:
        try:
            refuse_metadata(ip_address(connected.getpeername()[0].partition("%")[0]))
        except BaseException:
            connected.close()
            raise
        return connected

    def hold(self, connected: Any) -> None:
        """Take the connection that `until` cuts: a socket, or TLS inside a proxy's TLS."""
        self._socket = getattr(connected, "socket", connected)
        if self.is_over:
            self._cut()

    @contextmanager
    def until(self, seconds: float) -> Iterator[None]:
        """Cut the connection when the block takes longer than ``seconds``."""
        self.is_over, self._socket = False, None
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def _cut(self) -> None:
        self.is_over = True
        if self._socket is not None:
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class WatchedAdapter(HTTPAdapter):
    """Connects with ``watch`` looking on."""

    def __init__(self, watch: Watch) -> None:
        self._watch = watch
        super().__init__()

    def init_poolmanager(self, *args: Any, **options: Any) -> None:
        super().init_poolmanager(*args, **options)
        self.poolmanager.pool_classes_by_scheme = _pools(self._watch)

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **options)
        manager.pool_classes_by_scheme = _pools(self._watch)
        return manager


def _pools(watch: Watch) -> dict[str, type[urllib3.HTTPConnectionPool]]:
    """Return the kinds of connections that ``watch`` looks at, by scheme."""

    class Plain(urllib3.connection.HTTPConnection):
        def _new_conn(self) -> socket.socket:
            return watch.check(super()._new_conn())

        def connect(self) -> None:
            super().connect()
            watch.hold(self.sock)

    class Secure(urllib3.connection.HTTPSConnection):
        def _new_conn(self) -> socket.socket:
            return watch.check(super()._new_conn())

        def connect(self) -> None:
            super().connect()
            watch.hold(self.sock)

    class PlainPool(urllib3.HTTPConnectionPool):
        ConnectionCls = Plain

    class SecurePool(urllib3.HTTPSConnectionPool):
        ConnectionCls = Secure

    return {"http": PlainPool, "https": SecurePool}


def refuse_metadata(address: IPv4Address | IPv6Address) -> None:
    """Raise `FeedUnreachableError` if ``address`` is where a cloud's metadata service answers."""
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    if any((mapped or address) in network for network in METADATA):
        raise FeedUnreachableError(
            f"{address} is a link-local or metadata address, which feeds may not reach"
        )


def refuse_address(url: str) -> None:
    """Raise `FeedUnreachableError` unless ``url`` is http or https, and not to such an address."""
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise FeedUnreachableError(f"{url}: not an http or https address")
    try:
        address = ip_address(parts.hostname.partition("%")[0])
    except ValueError:
        return  # a name: the connection's far end is checked
    try:
        refuse_metadata(address)
    except FeedUnreachableError as error:
        raise FeedUnreachableError(f"{url}: {error}") from None


def refuse_name(url: str) -> None:
    """Raise `FeedUnreachableError` if the name in ``url`` is known here as such an address.

    A proxy looks it up for itself: where this machine cannot, that is left to the proxy.
    """
    host = urlsplit(url).hostname or ""
    try:
        found = {ip_address(each[4][0]) for each in socket.getaddrinfo(host, None)}
    except (OSError, ValueError):
        return
    for address in found:
        try:
            refuse_metadata(address)
        except FeedUnreachableError as error:
            raise FeedUnreachableError(f"{url}: {error}") from None
