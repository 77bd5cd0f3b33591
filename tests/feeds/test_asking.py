"""The one question that a health probe asks over HTTP: bounded, and not to just any address."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from patchmgr.domain.probes import Health, Probe, ProbeKind
from patchmgr.errors import FeedUnreachableError
from patchmgr.feeds.asking import MOST_BYTES, ask
from patchmgr.services.probing import find_out, over_http

METRIC = '{{"status":"success","data":{{"resultType":"scalar","result":[1,"{}"]}}}}'


class Service(BaseHTTPRequestHandler):
    def do_GET(self):
        parts = urlsplit(self.path)
        match parts.path:
            case "/away":
                self.send_response(302)
                self.send_header("Location", "http://169.254.169.254/")
                self.end_headers()
            case "/silent":
                self.server.release.wait(5)
            case "/huge":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"x" * (MOST_BYTES + 100_000))
            case "/api/v1/query":
                self.send_response(200)
                self.end_headers()
                self.wfile.write(METRIC.format(parse_qs(parts.query)["query"][0]).encode())
            case _:
                self.send_response(503)
                self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def service():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.release = threading.Event()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.release.set()
    server.shutdown()
    server.server_close()


def test_an_answer_comes_back_with_its_status(service):
    assert ask(f"{service}/", timeout=5).status == 503


def test_redirects_are_not_followed(service):
    assert ask(f"{service}/away", timeout=5).status == 302


def test_a_large_answer_is_read_in_part(service):
    assert len(ask(f"{service}/huge", timeout=5).body) == MOST_BYTES


def test_silence_ends(service):
    with pytest.raises(FeedUnreachableError, match="no answer"):
        ask(f"{service}/silent", timeout=0.3)


@pytest.mark.parametrize(
    "url", ["http://169.254.169.254/latest", "http://[fe80::1]/", "file:///etc/passwd"]
)
def test_metadata_and_link_local_addresses_are_not_asked(url):
    with pytest.raises(FeedUnreachableError):
        ask(url, timeout=1)


def test_a_prometheus_probe_over_http(service):
    def probe(query):
        return Probe("p", ProbeKind.PROMETHEUS, service, query=query, at_most=0.5)

    assert find_out(probe("0.4"), over_http)[0] is Health.PASSED
    assert find_out(probe("0.6"), over_http)[0] is Health.FAILED


def test_no_answer_is_inconclusive():
    closed = Probe("p", ProbeKind.HTTP, "http://127.0.0.1:9/")

    assert find_out(closed, over_http) == (Health.ERROR, "no connection")
