"""The lease protocol over HTTP: whose token opens what, and what every answer is."""

import pytest

from patchmgr.db import models
from patchmgr.domain.accounts import Role
from patchmgr.domain.plans import Selection
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.terms import Execution, Terms
from patchmgr.errors import TooOftenError
from patchmgr.services import enrolment, plan_drafts, plans, tokens
from web.api import leases as api
from web.pace import Pace

RUN = "run-00000001"


class Client:
    """Speaks HTTP with one token."""

    def __init__(self, app, key):
        self.http, self.headers = app.test_client(), {"Authorization": f"Bearer {key}"}

    def post(self, path, document=None):
        return self.http.post(f"/api/v1{path}", json=document, headers=self.headers)

    def claim(self, order, verb, **more):
        body = {"attempt": order["attempt"], "content_hash": order["content_hash"], "run": RUN}
        return self.post(f"/leases/{order['lease_id']}/{verb}", body | more)


@pytest.fixture
def started(app, sqlite_db, fleet, clock):
    """Return a function that starts a plan carried out as it says."""

    def start(execution):
        by = {"role": Role.ADMIN, "now": clock()}
        plan_id = plan_drafts.create(
            sqlite_db,
            selection=Selection(),
            rings=(RingSettings("all", max_failures=0),),
            terms=Terms(execution=execution),
            actor="ann",
            **by,
        )
        plans.propose(sqlite_db, plan_id, actor="ann", **by)
        plans.approve(sqlite_db, plan_id, actor="bob", **by)
        plans.start(sqlite_db, plan_id, actor="ann", **by)
        return plan_id

    return start


@pytest.fixture
def hosts(app, sqlite_db, fleet, clock):
    """Return each host's id and a client with its token."""
    with sqlite_db.writing() as session:
        rows = session.query(models.Host).order_by(models.Host.id).all()
        return [
            (
                row.id,
                Client(app, enrolment.give_host_token(session, row, actor="test", now=clock())),
            )
            for row in rows
        ]


@pytest.fixture
def runner(app, sqlite_db, clock):
    _, key = tokens.create(
        sqlite_db, "ansible", Role.OPERATOR, actor="ann", now=clock(), is_runner=True
    )
    return Client(app, key)


def orders(hosts):
    found = [(client, client.post(f"/hosts/{number}/leases")) for number, client in hosts]
    return [(client, answer.json) for client, answer in found if answer.status_code == 200]


def test_a_host_asks_begins_and_reports(started, hosts):
    number, first = hosts[0]
    nothing = first.post(f"/hosts/{number}/leases")
    assert (nothing.status_code, nothing.headers["Retry-After"]) == (204, "30")
    plan_id = started(Execution.AGENT)

    client, order = orders(hosts)[0]

    assert order["plan"] == plan_id
    assert {"package", "arch", "from", "to", "match", "manager"} <= set(order["work"][0])
    assert client.claim(order, "begin").json["state"] == "running"
    assert client.claim(order, "renew").json["state"] == "running"
    done = client.claim(order, "result", outcome="installed", output="done")
    assert (done.status_code, done.json["state"]) == (200, "installed")
    assert client.claim(order, "result", outcome="installed", output="done").json == done.json


def test_a_hosts_token_speaks_for_its_host_only(started, hosts):
    started(Execution.AGENT)
    (mine, order), *_ = orders(hosts)
    number = next(number for number, client in hosts if client is not mine)
    other = next(client for _, client in hosts if client is not mine)

    assert mine.post(f"/hosts/{number}/leases").status_code == 403
    assert other.claim(order, "begin").status_code == 403
    assert other.claim(order, "result", outcome="installed").status_code == 403
    assert mine.post("/leases", {}).status_code == 403
    unknown = {**order, "lease_id": "nothing"}
    assert mine.claim(unknown, "begin").status_code == 404


def test_what_is_not_true_is_a_conflict_with_its_reason(started, hosts):
    started(Execution.AGENT)
    (client, order), *_ = orders(hosts)

    forged = client.claim({**order, "content_hash": "0" * 64}, "begin")
    early = client.claim(order, "result", outcome="installed")

    assert (forged.status_code, forged.json["type"]) == (409, "/problems/false-claim")
    assert (early.status_code, early.json["type"]) == (409, "/problems/not-begun")


def test_a_runner_carries_out_orders_and_opens_nothing_else(started, runner, operator):
    started(Execution.RUNNER)

    taken = runner.post("/leases", {"limit": 1})

    assert taken.status_code == 200
    (order,) = taken.json
    assert runner.claim(order, "begin").status_code == 200
    assert runner.claim(order, "result", outcome="failed", package="curl").json["state"] == "failed"
    assert runner.http.get("/api/v1/plans", headers=runner.headers).status_code == 403
    assert runner.post(f"/hosts/{order['host_id']}/leases").status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"attempt": 1, "content_hash": "x", "run": RUN},
        {"attempt": "1", "content_hash": "0" * 64, "run": RUN},
        {"attempt": 1, "content_hash": "0" * 64, "run": "short"},
        {"attempt": 1, "content_hash": "0" * 64, "run": RUN, "more": 1},
    ],
)
def test_a_claim_that_cannot_be_read_is_said_so(hosts, body):
    _, client = hosts[0]

    assert client.post("/leases/any/begin", body).status_code == 422


def test_output_is_bounded(started, hosts):
    started(Execution.AGENT)
    (client, order), *_ = orders(hosts)
    client.claim(order, "begin")
    too_long = "x" * (api.OUTPUT_LONGEST + 1)

    assert client.claim(order, "result", outcome="failed", output=too_long).status_code == 422


def test_who_asks_too_often_is_told_when_to_ask_again(hosts, monkeypatch):
    monkeypatch.setattr(api, "HOSTS", Pace(60, 2))
    number, client = hosts[0]

    answers = [client.post(f"/hosts/{number}/leases") for _ in range(3)]

    assert [answer.status_code for answer in answers] == [204, 204, 429]
    assert answers[-1].headers["Retry-After"] == "2"


def test_a_client_may_ask_again_when_its_time_has_come():
    pace = Pace(60, 1)
    pace.take("a", 0.0)
    with pytest.raises(TooOftenError):
        pace.take("a", 0.5)
    pace.take("b", 0.5)

    pace.take("a", 1.5)


def test_the_plans_page_and_the_api_say_who_has_an_order(started, hosts, operator):
    plan_id = started(Execution.AGENT)
    (client, order), *_ = orders(hosts)
    client.claim(order, "begin")

    (line,) = [
        one
        for one in operator.get(f"/api/v1/plans/{plan_id}/tasks").json["items"]
        if one["host"] == order["host"]
    ]
    assert line["held"]["holder"] == f"host:{order['host_id']}"
    assert line["held"]["begun_at"]
    assert "the host began" in operator.get(f"/plans/{plan_id}/rollout").text
