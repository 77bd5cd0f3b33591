"""Whatever is done to plans, policies, holds and the calendar: by a page, a program and the shell.

Each act has the same rules and leaves the same audit entries wherever it is done.
"""

import shutil
import sqlite3
from contextlib import closing
from datetime import timedelta
from io import BytesIO
from pathlib import Path

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from patchmgr.cli import main
from patchmgr.cli.app import App
from patchmgr.db import models
from patchmgr.domain.accounts import Role
from patchmgr.domain.holds import Hold
from patchmgr.domain.rollout.events import Outcome
from patchmgr.domain.windows import Freeze, Window
from patchmgr.services import (
    freezes,
    going_back,
    holds,
    policy_files,
    rollouts,
    superseding,
    windows,
)
from patchmgr.services.rollouts import ResultRow

VIEWER, OPERATOR, APPROVER, ADMIN = Role
BELOW = {OPERATOR: VIEWER, APPROVER: OPERATOR, ADMIN: APPROVER}
WHY = {"reason": "because"}
HOST, HOSTS = {"host": "canary-1"}, {"hosts": ["canary-1"]}
POLICY = {"kind": "planning", "name": "monthly", "title": "Monthly"}
WEEKLY = {"rrule": "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22", "duration": "4h", "zone": "UTC"}
HELD = {"package": "curl", "owner": "ann", **WHY}
FILES = {
    "RESULTS": "host,result\ncanary-1,installed\n",
    "SKIPPED": "host,result,output\ncanary-1,skipped,because\n",
    "POLICY": 'kind = "planning"\nname = "monthly"\ntitle = "Monthly"\n',
}
SKIPPED = {"results": [{"host": "canary-1", "result": "skipped", "output": "because"}]}


def who(works):
    return {"actor": "ann", "role": Role.ADMIN, "now": works.clock()}


def proposed(works):
    works.do("propose", works.create())


def approved(works):
    proposed(works)
    works.do("approve", 1, actor="bob")


def paused(works):
    works.do("pause", works.started(), reason="x")


def halted(works):
    works.do("halt", works.started(), reason="x")


def failed(works):
    row = ResultRow("canary-1", Outcome.FAILED, output="no space")
    rollouts.report_results(works.db, works.started(), [row], **who(works))


def asked_back(works):
    failed(works)
    going_back.roll_back(works.db, 1, ["canary-1"], **who(works), **WHY)


def twice(works):
    works.create()
    works.create()


def broken(works):
    superseding.break_glass(works.db, works.create(), **who(works) | {"actor": "bob"}, **WHY)


def held(works):
    until = works.clock() + timedelta(days=9)
    holds.add(works.db, Hold("curl", "", "", "bad"), expires_at=until, owner="", **who(works))


def policy(works):
    policy_files.take(works.db, POLICY | {"targets": "at-least"}, **who(works))


def window(works):
    times = Window("sat", WEEKLY["rrule"], timedelta(hours=4), "UTC")
    windows.add(works.db, times, **who(works))


def rule(works):
    window(works)
    windows.assign(works.db, "sat", {"site": "north"}, **who(works))


def frozen(works):
    start = works.clock() + timedelta(days=9)
    freezes.add(works.db, Freeze("xmas", start, start + timedelta(days=1), "quiet"), **who(works))


def nothing(works):
    pass


def draft(works):
    works.create()


def running(works):
    works.started()


def of_plan(verb, before, role, form=None, words="", body=None, api="", page=""):
    """Return an act on plan 1 whose page and address in the API are called alike."""
    body = form if body is None else body
    return (
        before,
        role,
        (f"/plans/1/{page or verb}", form or {}),
        ("POST", f"/plans/1/{api or verb}", body),
        f"plans {api or verb} 1 {words}".strip(),
    )


BY_REASON = "--reason because"
ACTS = {
    "propose": of_plan("propose", draft, OPERATOR),
    "reject": of_plan("reject", proposed, APPROVER, WHY, BY_REASON),
    "withdraw": of_plan("cancel", proposed, OPERATOR, WHY, BY_REASON),
    "start": of_plan("start", approved, OPERATOR),
    "pause": of_plan("pause", running, OPERATOR, WHY, BY_REASON),
    "resume": of_plan("resume", paused, OPERATOR, WHY, BY_REASON),
    "acknowledge": of_plan("acknowledge", halted, OPERATOR, WHY, BY_REASON),
    "cancel": of_plan("cancel", running, OPERATOR, WHY, BY_REASON),
    "accept a host": of_plan(
        "accept", failed, OPERATOR, WHY | HOST, f"--host canary-1 {BY_REASON}", WHY | HOSTS,
        api="acknowledge",
    ),
    "retry": of_plan(
        "retry", failed, OPERATOR, WHY | HOST, f"canary-1 {BY_REASON}", WHY | HOSTS
    ),
    "roll back a host": of_plan(
        "roll-back", failed, OPERATOR, WHY | HOST, f"canary-1 {BY_REASON}", WHY | HOSTS
    ),
    "roll back a ring": of_plan(
        "roll-back", failed, OPERATOR, WHY | {"scope": "ring", "ring": "canary"},
        f"--ring canary {BY_REASON}", WHY | {"ring": "canary"},
    ),
    "withdraw a roll-back": of_plan(
        "withdraw-roll-back", asked_back, OPERATOR, WHY | HOST, f"canary-1 {BY_REASON}",
        WHY | HOSTS,
    ),
    "skip a ring": of_plan(
        "skip-ring", running, APPROVER, WHY | {"ring": "canary"}, f"canary {BY_REASON}"
    ),
    "review": of_plan("review", broken, APPROVER, WHY, BY_REASON),
    "break the glass": (
        draft, APPROVER,
        ("/plans/1/break-glass", WHY),
        ("POST", "/plans/1/break-glass", WHY),
        f"plans start 1 --break-glass {BY_REASON}",
    ),
    "supersede": (
        twice, OPERATOR,
        ("/plans/2/supersede", WHY | {"plan": "1"}),
        ("POST", "/plans/2/supersede", WHY | {"plan": 1}),
        f"plans supersede 2 1 {BY_REASON}",
    ),
    "results": (
        running, OPERATOR,
        ("/plans/1/results", "RESULTS"),
        ("POST", "/plans/1/results", "RESULTS"),
        "plans results 1 RESULTS",
    ),
    "leave a host out": (
        running, OPERATOR,
        ("/plans/1/hosts/canary-1/leave-out", WHY),
        ("POST", "/plans/1/results", SKIPPED),
        "plans results 1 SKIPPED",
    ),
    "export": (
        running, OPERATOR,
        ("/plans/1/work.csv", None),
        ("GET", "/plans/1/export?format=csv", None),
        "plans export 1 --format csv",
    ),
    "export to read": (
        draft, VIEWER,
        ("/plans/1/work.csv?whole=yes", None),
        ("GET", "/plans/1/export?format=csv&whole=true", None),
        "plans export 1 --format csv --whole",
    ),
    "create by policy": (
        policy, OPERATOR,
        ("/planning-policies/plan/monthly", {}),
        ("POST", "/plans", {"policy": "monthly"}),
        "plans create --policy monthly",
    ),
    "import a policy": (
        nothing, ADMIN,
        ("/planning-policies/new", {"document": FILES["POLICY"]}),
        ("PUT", "/policies/document", {"document": POLICY}),
        "policies import POLICY",
    ),
    "edit a policy": (
        policy, ADMIN,
        ("/planning-policies/edit/monthly", {"document": FILES["POLICY"]}),
        ("PUT", "/policies/document", {"document": POLICY}),
        "policies import POLICY",
    ),
    "activate a policy": (
        nothing, ADMIN,
        ("/policies/pci-dss-6.3.3/activate", {}),
        ("POST", "/policies/pci-dss-6.3.3/activate", None),
        "policies activate pci-dss-6.3.3",
    ),
    "hold": (
        nothing, OPERATOR,
        ("/holds/new", HELD | {"versions": "", "platform": "", "expires": "2026-04-01"}),
        ("POST", "/holds", HELD | {"expires_at": "2026-04-02T00:00:00Z"}),
        f"holds add curl --owner ann --expires 2026-04-02T00:00:00Z {BY_REASON}",
    ),
    "revoke a hold": (
        held, OPERATOR,
        ("/holds/1/revoke", WHY),
        ("POST", "/holds/1/revoke", WHY),
        f"holds revoke 1 {BY_REASON}",
    ),
    "add a window": (
        nothing, OPERATOR,
        ("/calendar/windows", {"name": "sat", **WEEKLY}),
        ("POST", "/windows", {"name": "sat", **WEEKLY}),
        f"windows add sat --rrule {WEEKLY['rrule']} --duration 4h",
    ),
    "remove a window": (
        window, OPERATOR,
        ("/calendar/windows/remove", {"name": "sat"}),
        ("DELETE", "/windows/sat", None),
        "windows remove sat",
    ),
    "assign a window": (
        window, OPERATOR,
        ("/calendar/rules", {"window": "sat", "field": "site", "value": "north"}),
        ("POST", "/window-rules", {"window": "sat", "fields": {"site": "north"}}),
        "windows assign sat --site north",
    ),
    "unassign a window": (
        rule, OPERATOR,
        ("/calendar/rules/1/remove", {}),
        ("DELETE", "/window-rules/1", None),
        "windows unassign 1",
    ),
    "end a freeze": (
        frozen, OPERATOR,
        ("/calendar/freezes/1/end", {}),
        ("DELETE", "/freezes/1", None),
        "freezes end 1",
    ),
}  # fmt: skip
NEEDS_NO_REASON = {"resume", "supersede", "revoke a hold"}  # they may be given one


class Shell(App):
    """The command line with the clock of the test."""

    clock = None

    @property
    def now(self):
        return self.clock()


class Desk:
    """One person of each role at a browser, with a token and at a shell, and a way back."""

    def __init__(self, works, app, client, person):
        self.works, self.app = works, app
        self.path = Path(works.db.engine.url.database)
        self.browsers = {role: client(role) for role in Role}
        self.tokens = {role: works.token(role) for role in Role}
        for name, text in FILES.items():
            works.file(name, text)

    def keep(self, name):
        """Write down how everything is, and return where."""
        kept = self.works.folder / name
        with closing(sqlite3.connect(self.path)) as raw, closing(sqlite3.connect(kept)) as copy:
            raw.backup(copy)
        return kept

    def back(self, kept):
        """Return to how everything was."""
        self.works.db.engine.dispose()
        for more in ("-wal", "-shm"):
            Path(f"{self.path}{more}").unlink(missing_ok=True)
        shutil.copy(kept, self.path)

    def entries(self):
        with self.works.db.reading() as session:
            rows = session.scalars(select(models.AuditEntry).order_by(models.AuditEntry.id))
            return [(one.action, one.subject, _impersonal(one)) for one in rows]

    def page(self, role, act, *, why):
        path, form = act[2]
        if form is None:
            return self.browsers[role].get(path)
        if isinstance(form, str):
            form = {"file": (BytesIO(FILES[form].encode()), "results.csv")}
        return self.browsers[role].post(path, data=form if why else _without_reason(form))

    def api(self, role, act, *, why):
        method, path, body = act[3]
        if isinstance(body, str):
            more = {"data": FILES[body], "content_type": "text/csv"}
        else:
            more = {} if body is None else {"json": body if why else _without_reason(body)}
        headers = {"Authorization": f"Bearer {self.tokens[role]}"}
        browser = self.app.test_client()
        return browser.open(f"/api/v1{path}", method=method, headers=headers, **more)

    def shell(self, role, act, *, why):
        words = (act[4] if why else act[4].replace(BY_REASON, "")).split()
        words = [str(self.works.folder / one) if one in FILES else one for one in words]
        url = self.works.settings.database_url
        app = Shell({"PATCHMGR_HOME": str(self.works.folder), "PATCHMGR_DATABASE_URL": url})
        app.clock = self.works.clock
        answer = CliRunner().invoke(main, [*words, "--as", f"the-{role}"], obj=app)
        app.db.engine.dispose()
        return answer.output


def _impersonal(entry):
    """Return an entry's details, where they name who acted without that name."""
    return {
        name: "who acted" if value == entry.actor else value
        for name, value in entry.details.items()
    }


def _without_reason(form):
    return {name: value for name, value in form.items() if name != "reason"}


@pytest.fixture
def desk(works, app, client, person):
    return Desk(works, app, client, person)


def test_whatever_is_done_has_the_same_rules_and_audit_entries_everywhere(desk):
    differ = {}
    nothing_done = desk.keep("nothing.db")
    for name, act in ACTS.items():
        before, role = act[:2]
        desk.back(nothing_done)
        before(desk.works)
        since = len(desk.entries())
        kept = desk.keep("before.db")
        first = []
        for way in (desk.page, desk.api, desk.shell):
            desk.back(kept)
            refused = [way(BELOW[role], act, why=True)] if role in BELOW else []
            if BY_REASON in act[4] and name not in NEEDS_NO_REASON:
                refused.append(way(role, act, why=False))
            if len(desk.entries()) > since:
                differ[name, way.__name__] = f"must be refused: {refused}"
                continue
            said = way(role, act, why=True)
            left = desk.entries()[since:]
            if way == desk.page:
                first = left
            if not left or left != first:
                differ[name, way.__name__] = f"{said}: {left}, not {first}"

    assert differ == {}
