"""Health probes: what can be asked, and what an answer means."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from patchmgr.domain.probes import (
    Answer,
    Health,
    Probe,
    ProbeKind,
    Standing,
    address,
    from_json,
    judge,
    next_question,
    probes_from_json,
)
from patchmgr.errors import InputError

T0 = datetime(2026, 3, 2, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
HTTP = Probe("shop", ProbeKind.HTTP, "https://shop.example/health", contains="fine")
ERRORS = Probe("errors", ProbeKind.PROMETHEUS, "http://prom:9090/", query="rate", at_most=0.5)


def vector(*values, status="success"):
    series = [{"metric": {}, "value": [1.0, value]} for value in values]
    return json.dumps({"status": status, "data": {"resultType": "vector", "result": series}})


def scalar(kind, value):
    return json.dumps({"status": "success", "data": {"resultType": kind, "result": [1, value]}})


@pytest.mark.parametrize(
    ("probe", "status", "body", "health"),
    [
        (HTTP, 200, "all fine", Health.PASSED),
        (HTTP, 200, "all bad", Health.FAILED),
        (HTTP, 503, "all fine", Health.FAILED),
        (HTTP, 302, "all fine", Health.FAILED),
        (ERRORS, 200, vector("0.1", "0.5"), Health.PASSED),
        (ERRORS, 200, vector("0.1", "0.6"), Health.FAILED),
        (ERRORS, 200, vector(), Health.INCONCLUSIVE),
        (ERRORS, 200, vector("NaN"), Health.INCONCLUSIVE),
        (ERRORS, 200, vector("0.1", status="error"), Health.ERROR),
        (ERRORS, 503, vector("0.1"), Health.ERROR),
        (ERRORS, 200, "<html>", Health.ERROR),
        (ERRORS, 200, "[" * 100_000, Health.ERROR),
        (ERRORS, 200, scalar("scalar", "0.2"), Health.PASSED),
        (ERRORS, 200, scalar("string", "a"), Health.ERROR),
    ],
)  # fmt: skip
def test_what_an_answer_means(probe, status, body, health):
    assert judge(probe, Answer(status, body.encode()))[0] is health


def test_a_prometheus_probe_asks_the_servers_query_api():
    assert address(ERRORS) == "http://prom:9090/api/v1/query"


def test_when_the_next_question_is_due():
    slow = Probe("a", ProbeKind.HTTP, "http://a/", initial_delay=5 * MINUTE, interval=2 * MINUTE)

    assert next_question(slow, None, T0) == T0 + 5 * MINUTE
    assert next_question(slow, Standing(T0, Health.FAILED), T0) == T0 + 2 * MINUTE


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"name": "a", "kind": "http"}, "url"),
        ({"name": "a", "kind": "ping", "url": "http://a/"}, "none of http, prometheus"),
        ({"name": "a", "kind": "http", "url": "ftp://a/"}, "an http or https address"),
        ({"name": "a", "kind": "http", "url": "http://u:p@a/"}, "without credentials"),
        ({"name": "a", "kind": "http", "url": "http://[::1"}, "an http or https address"),
        ({"name": "a", "kind": "http", "url": "http://a/", "query": "x"}, "for Prometheus"),
        ({"name": "a", "kind": "prometheus", "url": "http://a/", "query": "x"}, "at_least or"),
        ({"name": "a", "kind": "http", "url": "http://a/", "interval": "1s"}, "from 5s"),
        ({"name": "a", "kind": "http", "url": "http://a/", "interval": 5}, "in quotes"),
        ({"name": "a", "kind": "http", "url": "http://a/", "failure_limit": 0}, "from 1"),
        ({"name": "a", "kind": "http", "url": "http://a/", "color": 0}, "no such probe setting"),
    ],
)
def test_what_cannot_be_a_probe_is_refused_with_the_setting(document, said):
    with pytest.raises(InputError, match=said):
        from_json(document)


def test_the_canonical_form_comes_back_as_it_was():
    for probe in (HTTP, ERRORS):
        assert from_json(probe.to_json()) == probe


def test_probes_of_a_ring_have_different_names():
    with pytest.raises(InputError, match="two probes are called 'shop'"):
        probes_from_json([HTTP.to_json(), HTTP.to_json()])
