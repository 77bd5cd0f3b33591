"""The door to HTTP, against a real server that behaves in every way a server can."""

import gzip
import hashlib
import socket
import socketserver
import ssl
import subprocess
import threading
import time
from contextlib import closing, suppress

import pytest

from patchmgr.errors import FeedGoneError, FeedMalformedError, FeedUnreachableError
from patchmgr.feeds.connections import refuse_name
from patchmgr.feeds.crawl import Document
from patchmgr.feeds.kept import Kept
from patchmgr.feeds.transport import Known, Limits, Transport

BODY = b'{"apt": {}}'
OK = (200, {}, BODY)
QUICK = Limits(connect=2, read=2, total=10, size=10_000, attempts=3, backoff=0.001, patience=5)


def fetch(server, *, limits=QUICK, known=None, naps=None, path="/data/json"):
    transport = Transport(known or {}, limits, sleep=(naps if naps is not None else []).append)
    return transport(server.url(path), unless_known=known is not None)


def test_a_document_comes_with_what_lets_us_ask_for_changes(server):
    server.answer((200, {"ETag": '"1"', "Last-Modified": "Mon, 02 Mar 2026 09:30:00 GMT"}, BODY))

    document = fetch(server)

    assert document == Document(
        BODY, '"1"', "Mon, 02 Mar 2026 09:30:00 GMT", hashlib.sha256(BODY).hexdigest()
    )


@pytest.mark.parametrize(
    ("known", "header", "value"),
    [
        (Known(etag='"1"', last_modified="x"), "If-None-Match", '"1"'),
        (Known(last_modified="Mon, 02 Mar 2026 09:30:00 GMT"), "If-Modified-Since", "Mon, 02"),
    ],
)
def test_an_unchanged_document_costs_one_round_trip(server, known, header, value):
    server.answer((304, {}, b""))

    assert fetch(server, known={server.url(): known}) is None
    assert len(server.asked) == 1
    assert server.asked[0][1][header].startswith(value)


def test_a_304_that_was_not_asked_for_is_no_document(server):
    server.answer((304, {}, b""))

    with pytest.raises(FeedUnreachableError, match="the server says 304 Not Modified"):
        fetch(server)


@pytest.mark.parametrize(("status", "word"), [(404, "Not Found"), (410, "Gone")])
def test_a_missing_document_is_gone_and_not_asked_for_again(server, status, word):
    server.answer((status, {}, b""))

    with pytest.raises(FeedGoneError, match=rf"/data/json: the server says {status} {word}$"):
        fetch(server)
    assert len(server.asked) == 1


def test_a_refused_document_is_not_gone(server):
    server.answer((403, {}, b""))

    with pytest.raises(FeedUnreachableError, match="the server says 403 Forbidden") as refused:
        fetch(server)
    assert not isinstance(refused.value, FeedGoneError)


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429, 408])
def test_passing_trouble_is_waited_out(server, status):
    server.answer((status, {}, b""), (status, {}, b""), OK)
    naps = []

    assert fetch(server, naps=naps).body == BODY
    assert len(naps) == 2
    assert naps[0] < naps[1] * 3  # doubled, give or take the jitter


def test_lasting_trouble_is_reported_with_the_attempts_made(server):
    server.answer((500, {}, b""))

    with pytest.raises(FeedUnreachableError, match="says 500 Internal Server Error, at attempt 3"):
        fetch(server)
    assert len(server.asked) == 3


def test_retry_after_is_honoured(server):
    server.answer((503, {"Retry-After": "4"}, b""), OK)
    naps = []

    fetch(server, naps=naps)

    assert naps == [4]


def test_a_retry_after_beyond_our_patience_ends_the_attempt(server):
    server.answer((503, {"Retry-After": "3600"}, b""), OK)

    with pytest.raises(FeedUnreachableError, match="503 Service Unavailable, at attempt 1"):
        fetch(server)


def test_a_retry_after_may_be_a_date(server):
    server.answer((503, {"Retry-After": "Mon, 02 Mar 2026 09:30:00 GMT"}, b""), OK)

    assert fetch(server).body == BODY


def dripping(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    for _ in range(200):
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.02)


def dripping_headers(handler):
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(200):
        handler.wfile.write(b"X-%d: y\r\n" % number)
        handler.wfile.flush()
        time.sleep(0.02)


@pytest.mark.parametrize("slow", [dripping, dripping_headers])
def test_the_whole_document_has_a_deadline(server, slow):
    server.answer(slow)
    limits = Limits(connect=1, read=1, total=0.3, attempts=3, backoff=0.001)
    begun = time.monotonic()

    with pytest.raises(FeedUnreachableError, match=r"not complete after 0\.3 seconds"):
        fetch(server, limits=limits)
    assert time.monotonic() - begun < 2


def test_a_silent_server_is_given_up(server):
    server.answer(lambda _handler: time.sleep(1))
    limits = Limits(connect=1, read=0.05, total=5, attempts=2, backoff=0.001)

    with pytest.raises(FeedUnreachableError, match="no answer in the time allowed, at attempt 2"):
        fetch(server, limits=limits)


def test_a_server_that_is_not_there_is_said_to_refuse():
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]

    with pytest.raises(FeedUnreachableError, match="connection refused, at attempt 3"):
        Transport({}, QUICK, sleep=lambda _: None)(f"http://127.0.0.1:{port}/", unless_known=False)


def truncated(handler):
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(BODY)


def truncated_chunks(handler):
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b'5\r\n{"a":\r\n3')


@pytest.mark.parametrize("cut", [truncated, truncated_chunks])
def test_a_body_that_is_cut_off_is_fetched_again(server, cut):
    server.answer(cut, OK)

    assert fetch(server).body == BODY


def test_a_body_that_is_always_cut_off_is_an_error(server):
    server.answer(truncated)

    with pytest.raises(FeedUnreachableError, match="the body is cut off, at attempt 3"):
        fetch(server)


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "1000000000"}])
def test_a_body_larger_than_the_limit_is_refused(server, headers):
    server.answer((200, headers, b" " * 20_000))

    with pytest.raises(FeedMalformedError, match="larger than 0 MiB, which is refused"):
        fetch(server)


def test_a_compressed_body_is_handed_on_as_it_was_sent(server):
    packed = gzip.compress(BODY, mtime=0)
    server.answer((200, {"Content-Encoding": "gzip"}, packed))

    assert fetch(server).body == packed


def test_redirects_are_followed_and_the_document_keeps_its_address(server):
    server.answer((302, {"Location": "/elsewhere"}, b""))
    server.answer(OK, path="/elsewhere")

    assert fetch(server).body == BODY


def test_redirects_end(server):
    server.answer((302, {"Location": "/data/json"}, b""))

    with pytest.raises(FeedUnreachableError, match="more than 5 redirects"):
        fetch(server)


@pytest.mark.parametrize(
    "location",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://[fe80::1]/",
        "http://[::ffff:169.254.169.254]/",
        "http://[fd00:ec2::254]/",
        "http://100.100.100.200/",
    ],
)
def test_nobody_is_led_to_a_metadata_service(server, location):
    server.answer((302, {"Location": location}, b""))

    with pytest.raises(FeedUnreachableError, match="is a link-local or metadata address"):
        fetch(server)
    with pytest.raises(FeedUnreachableError, match="is a link-local or metadata address"):
        Transport({}, QUICK)(location, unless_known=False)


def test_a_name_that_leads_to_a_metadata_service_is_refused_once_connected(server, monkeypatch):
    monkeypatch.setattr("patchmgr.feeds.connections.METADATA", loopback_as_metadata())
    server.answer(OK)
    url = f"http://localhost:{server.server_port}/data/json"

    with pytest.raises(FeedUnreachableError, match=r"^http://localhost:.*link-local or metadata"):
        Transport({}, QUICK, sleep=lambda _: None)(url, unless_known=False)
    assert server.asked == []


def loopback_as_metadata():
    from ipaddress import ip_network

    return (ip_network("127.0.0.0/8"), ip_network("::1/128"))


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http:///x", "x"])
def test_only_http_is_spoken(url):
    with pytest.raises(FeedUnreachableError, match="not an http or https address"):
        Transport({}, QUICK)(url, unless_known=False)


def test_a_redirect_out_of_http_is_refused(server):
    server.answer((302, {"Location": "file:///etc/passwd"}, b""))

    with pytest.raises(FeedUnreachableError, match="not an http or https address"):
        fetch(server)


@pytest.fixture
def certificate(server, tmp_path):
    """Make the server speak TLS; return the file of its certificate."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj",
         "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out",
         certificate],
        check=True,
        capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return certificate


def test_a_certificate_that_nobody_vouches_for_is_refused(server, certificate):
    server.answer(OK)
    url = f"https://127.0.0.1:{server.server_port}/data/json"

    with pytest.raises(FeedUnreachableError, match="certificate verify failed"):
        Transport({}, QUICK, sleep=lambda _: None)(url, unless_known=False)


def test_what_netrc_knows_of_a_host_is_not_sent(server, monkeypatch, tmp_path):
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    server.answer(OK)

    fetch(server)

    assert "Authorization" not in server.asked[0][1]


def test_no_timer_outlives_a_fetch(server):
    server.answer(OK)

    fetch(server)

    for timer in (each for each in threading.enumerate() if isinstance(each, threading.Timer)):
        timer.join(1)
        assert not timer.is_alive()


def test_all_documents_together_have_a_deadline(server):
    server.answer(OK)
    transport = Transport({}, Limits(sync=0.05))
    assert transport(server.url(), unless_known=False).body == BODY
    time.sleep(0.06)

    with pytest.raises(FeedUnreachableError, match=r"not reached in the 0\.05 seconds that a sync"):
        transport(server.url(), unless_known=False)
    assert len(server.asked) == 1


# What an earlier sync fetched


@pytest.fixture
def kept(tmp_path):
    return Kept(tmp_path / "kept")


def document(etag='"2"', body=BODY):
    return Document(body, etag, "", hashlib.sha256(body).hexdigest())


@pytest.mark.parametrize("unless_known", [True, False])
def test_what_is_kept_and_unchanged_is_not_fetched_again(server, kept, unless_known):
    server.answer((304, {}, b""))
    kept.put(server.url(), document())
    known = {server.url(): Known(etag='"1"')}  # of what is stored: older than what is kept

    fetched = Transport(known, QUICK, kept=kept)(server.url(), unless_known=unless_known)

    assert fetched == document()
    assert [headers["If-None-Match"] for _, headers in server.asked] == ['"2"']


def test_what_is_kept_and_stored_already_is_not_new(server, kept):
    server.answer((304, {}, b""))
    kept.put(server.url(), document())
    transport = Transport({server.url(): Known(etag='"2"')}, QUICK, kept=kept)

    assert transport(server.url(), unless_known=True) is None
    assert transport(server.url(), unless_known=False) == document()


def test_what_is_kept_and_has_changed_since_is_fetched(server, kept):
    server.answer((200, {"ETag": '"3"'}, b"[]"))
    kept.put(server.url(), document())

    fetched = Transport({}, QUICK, kept=kept)(server.url(), unless_known=False)

    assert (fetched.body, fetched.etag) == (b"[]", '"3"')


def test_what_its_address_has_the_digest_of_need_not_be_asked_for(server, kept):
    url = f"{server.url()}#sha256=ab"
    kept.put(url, document(etag=""))

    assert Transport({}, QUICK, kept=kept)(url, unless_known=False) == document(etag="")
    assert server.asked == []


# A proxy


def through(server, url, **more):
    proxy = f"http://127.0.0.1:{server.server_port}"
    return Transport({}, QUICK, sleep=lambda _: None, proxy=proxy, **more)(url, unless_known=False)


def test_a_proxy_is_asked_in_the_place_of_the_server(server):
    server.answer(OK, path="http://mirror.example/data.json")

    assert through(server, "http://mirror.example/data.json").body == BODY


def test_redirects_go_through_the_proxy_too(server):
    server.answer((302, {"Location": "http://other.example/b"}, b""), path="http://one.example/a")
    server.answer(OK, path="http://other.example/b")

    assert through(server, "http://one.example/a").body == BODY


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/", "http://[fe80::1]/"])
def test_nobody_is_led_to_a_metadata_service_through_a_proxy(server, url):
    server.answer((302, {"Location": url}, b""), path="http://mirror.example/a")

    for address in (url, "http://mirror.example/a"):
        with pytest.raises(FeedUnreachableError, match="is a link-local or metadata address"):
            through(server, address)
    assert [path for path, _ in server.asked] == ["http://mirror.example/a"]


def test_a_name_that_is_known_here_as_a_metadata_service_is_not_given_to_a_proxy(monkeypatch):
    refuse_name("http://unknown.example/")  # left to the proxy
    monkeypatch.setattr("patchmgr.feeds.connections.METADATA", loopback_as_metadata())

    with pytest.raises(FeedUnreachableError, match=r"^http://localhost/x: .* metadata address"):
        refuse_name("http://localhost/x")


def test_a_proxy_on_a_metadata_address_is_refused(server, monkeypatch):
    monkeypatch.setattr("patchmgr.feeds.connections.METADATA", loopback_as_metadata())

    with pytest.raises(FeedUnreachableError, match="link-local or metadata"):
        through(server, "http://mirror.example/data.json")
    assert server.asked == []


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_named_as_what_fails(scheme):
    with closing(socket.socket()) as unused:
        unused.bind(("127.0.0.1", 0))
        proxy = f"{scheme}://127.0.0.1:{unused.getsockname()[1]}"
    transport = Transport({}, QUICK, sleep=lambda _: None, proxy=proxy)

    for url in ("http://mirror.example/", "https://mirror.example/"):
        with pytest.raises(FeedUnreachableError, match=f"^{url}: the proxy: connection refused"):
            transport(url, unless_known=False)


def test_a_proxy_that_opens_no_tunnel_is_named_as_what_fails(server):
    with pytest.raises(FeedUnreachableError, match=r"^https://mirror\.example/: the proxy: .*501"):
        through(server, "https://mirror.example/")


def test_a_slow_proxy_meets_the_deadline(server):
    server.answer(dripping, path="http://mirror.example/a")
    limits = Limits(connect=1, read=1, total=0.3, attempts=3, backoff=0.001)
    proxy = f"http://127.0.0.1:{server.server_port}"

    with pytest.raises(FeedUnreachableError, match=r"not complete after 0\.3 seconds"):
        Transport({}, limits, proxy=proxy)("http://mirror.example/a", unless_known=False)


def test_a_proxy_of_the_environment_is_not_used(server, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    server.answer(OK)

    assert fetch(server).body == BODY


class Tunnel(socketserver.StreamRequestHandler):
    """A proxy that opens a tunnel to where it is told."""

    def handle(self):
        head = b"".join(iter(self.rfile.readline, b"\r\n"))
        self.server.told.append(head.split(b"\r\n")[0].decode())
        host, port = head.split()[1].decode().split(":")
        with closing(socket.create_connection((host, int(port)))) as there:
            self.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
            back = threading.Thread(target=self.pass_on, args=(there, self.connection))
            back.start()
            self.pass_on(self.connection, there)
            back.join()

    @staticmethod
    def pass_on(one, other):
        with suppress(OSError):
            while piece := one.recv(1 << 16):
                other.sendall(piece)
            other.shutdown(socket.SHUT_WR)


@pytest.fixture
def tunnel():
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as proxy:
        proxy.daemon_threads, proxy.told = True, []
        threading.Thread(target=proxy.serve_forever, args=(0.01,), daemon=True).start()
        yield proxy
        proxy.shutdown()


def test_tls_goes_through_the_proxys_tunnel_and_is_verified(
    server, certificate, tunnel, monkeypatch
):
    server.answer(OK, dripping)
    where = f"127.0.0.1:{server.server_port}"
    proxy = f"http://127.0.0.1:{tunnel.server_address[1]}"

    def ask(limits=QUICK):
        transport = Transport({}, limits, sleep=lambda _: None, proxy=proxy)
        return transport(f"https://{where}/data/json", unless_known=False)

    with pytest.raises(FeedUnreachableError, match="certificate verify failed"):
        ask()
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert ask().body == BODY
    with pytest.raises(FeedUnreachableError, match=r"not complete after 0\.3 seconds"):
        ask(Limits(connect=1, read=1, total=0.3, attempts=2, backoff=0.001))
    assert {each.rpartition(" ")[0] for each in tunnel.told} == {f"CONNECT {where}"}
