"""Plans in the console: making, deciding, following; each rule that a page must keep."""

import html
import io
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest

from patchmgr.db import models
from patchmgr.db.queries import plans as queries
from patchmgr.domain.accounts import Role
from patchmgr.domain.groups import GroupSettings
from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.events import Outcome
from patchmgr.domain.rollout.states import PlanState
from patchmgr.services import rollouts
from patchmgr.services.rollouts import ResultRow
from patchmgr.services.sync import sync

TABS = (
    "",
    "/changes",
    "/hosts",
    "/not-planned",
    "/why",
    "/times",
    "/forecast",
    "/risks",
    "/history",
    "/rollout",
)
RING = {
    "name": "all",
    "soak": "0m",
    "window": "any",
    "expected": "30m",
    "percent": "0",
    "success_pct": "95",
    "max_failures": "0",
    "max_concurrent": "10",
    "min_attempted": "3",
    "field": "",
    "value": "",
}


def form(*rings, **more):
    values = {
        f"ring-{number}-{name}": value
        for number, ring in enumerate(rings or (RING,))
        for name, value in ring.items()
    }
    return {"package": "openssl", "approvals": "1", **values, **more}


class Fields(HTMLParser):
    """The fields of the plan's form as a browser would send them, without buttons."""

    def __init__(self):
        super().__init__()
        self.found, self.inside, self.select = {}, False, None

    def handle_starttag(self, tag, attrs):
        has = dict(attrs)
        if tag == "form":
            self.inside = has.get("id") == "plan-form"
        elif not self.inside:
            return
        elif tag == "input" and (has.get("type") != "checkbox" or "checked" in has):
            self.found[has["name"]] = has.get("value", "")
        elif tag == "select":
            self.select = has["name"]
        elif tag == "option" and (self.select not in self.found or "selected" in has):
            self.found[self.select] = has["value"]


def sent_again(page):
    fields = Fields()
    fields.feed(page)
    return fields.found


@pytest.fixture
def state(works):
    def ask(plan_id):
        with works.db.reading() as session:
            return queries.get(session, plan_id, now=works.clock()).state

    return ask


@pytest.fixture
def groups(works):
    def ask(plan_id):
        with works.db.reading() as session:
            return list(queries.get(session, plan_id, now=works.clock()).groups)

    return ask


# Making


def test_a_link_fills_in_what_to_close(works, operator):
    page = operator.get("/plans/new?host=web-1&advisory=CVE-2026-1001&package=openssl").text

    assert ">web-1</textarea>" in page
    assert 'name="advisory" value="CVE-2026-1001"' in page
    assert page.count("<legend>Ring") == 1  # of one host nothing is a canary


def test_a_draft_holds_what_is_open(works, operator):
    answer = operator.post("/plans/new", data=form(title="OpenSSL"))

    page = operator.get(answer.location).text
    assert "8 findings" in page  # two packages on four hosts
    assert "3.0.17-1~deb12u2" in page
    assert "Propose" in page


def test_what_the_archive_phases_is_among_the_risks(works, operator, tmp_path):
    stanza = "Package: {}\nSource: openssl\nVersion: 3.0.17-1~deb12u2\nArchitecture: amd64\n{}"
    (tmp_path / "Packages").write_text(
        "\n".join(
            (
                stanza.format("openssl", "Phased-Update-Percentage: 30\n"),
                stanza.format("libssl3", ""),
            )
        )
    )
    sync(
        works.db,
        "archive",
        source=tmp_path / "Packages",
        platform="debian:12",
        settings=works.settings,
        now=works.clock(),
        actor="test",
    )
    answer = operator.post("/plans/new", data=form(title="OpenSSL"))

    page = operator.get(f"{answer.location.rstrip('/')}/risks").text
    said = "Phased, so not offered to every host yet: openssl 3.0.17-1~deb12u2 (30 % of hosts)."
    assert said in page


def test_what_a_large_plan_leaves_out_is_paged_and_searched_and_its_risks_stay_few(works, operator):
    plan_id = works.create()
    with works.db.writing() as session:
        session.add_all(
            models.PlanExclusion(
                plan_id=plan_id,
                platform="debian:12",
                package=f"lib{number:04}",
                arch="amd64",
                version="1.0-1",
                reason=f"no repository offers 1.0-{number}; ask",
                advisories=["DSA-1"],
                hosts=number,
            )
            for number in range(1, 1001)
        )
        plan = session.get_one(models.Plan, plan_id)
        left_out = [{"host": f"lost-{number}", "reason": "no window"} for number in range(9)]
        plan.summary = {**plan.summary, "excluded": 1000, "left_out": left_out}

    risks = operator.get(f"/plans/{plan_id}/risks").text
    named = re.findall(r"not in it: no repository offers 1\.0-(\d+)", risks)
    assert named == [str(number) for number in range(1000, 992, -1)]  # of most hosts
    assert "992 package versions that were asked for are not in it, for 992 other reasons" in risks
    assert "lost-2 is left out" in risks
    assert "lost-3" not in risks
    assert "6 more hosts are left out" in risks

    page = f"/plans/{plan_id}/not-planned"
    first = operator.get(page).text
    assert "1,000" in first
    assert "lost-8" in first
    follows = html.unescape(re.search(r'href="([^"]*cursor=[^"]*)"', first).group(1))
    names = [set(re.findall(r"lib\d{4}", operator.get(at).text)) for at in (page, follows)]
    assert len(names[0]) == len(names[1]) > 10
    assert not names[0] & names[1]
    link = html.unescape(re.search(r'href="([^"]*not-planned\?q=[^"]*)"', risks).group(1))
    assert set(re.findall(r"lib\d{4}", operator.get(link).text)) == {"lib1000"}


def test_buttons_of_the_form_add_and_remove_rings_and_keep_what_was_typed(works, operator):
    more = operator.post("/plans/new", data=form(title="Typed", add_ring="yes"))
    less = operator.post("/plans/new", data=form(RING, {**RING, "name": "b"}, remove_ring="0"))

    assert (more.status_code, less.status_code) == (200, 200)
    assert more.text.count("<legend>Ring") == 2
    assert 'value="Typed"' in more.text
    assert less.text.count("<legend>Ring") == 1
    assert 'name="ring-0-name" value="b"' in less.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"soak": "soon"}, "is not a duration"),
        ({"percent": "many"}, "is not a whole number"),
        ({"name": ""}, "needs a name"),
        ({"window": "nowhere"}, "no maintenance window"),
    ],
)
def test_what_is_wrong_with_a_ring_stands_at_it(works, operator, change, said):
    answer = operator.post("/plans/new", data=form({**RING, **change}))

    assert answer.status_code == 422
    assert said in answer.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"package": "nothing-like-it"}, "No package"),
        ({"host": "nowhere"}, "No host"),
        ({"severity": "critical"}, "Nothing to plan"),
        ({"approvals": "9"}, "from 1 to 5"),
        ({"targets": "newest"}, "is not one of the choices"),
        ({"approvers": "role:nobody"}, "is none of role:approver"),
        ({"valid": "soon"}, "An approval counts for"),
    ],
)
def test_a_choice_that_cannot_be_is_answered_in_words(works, operator, change, said):
    answer = operator.post("/plans/new", data=form(**change))

    assert answer.status_code == 422
    assert said in answer.text


@pytest.mark.parametrize(
    ("severity", "is_planned"),
    [
        ("", True),
        ("low+", True),
        ("high+", True),
        ("high", True),
        ("medium", False),
        ("odd", False),
    ],
)
def test_a_severity_narrows_to_itself_or_to_it_and_above(works, operator, severity, is_planned):
    answer = operator.post("/plans/new", data=form(severity=severity))

    assert answer.status_code == (303 if is_planned else 422)


@pytest.mark.parametrize(
    ("choice", "hosts"),
    [
        ({"environment": "production"}, 4),
        ({"platform": "debian:12", "environment": "production"}, 4),
        ({"environment": "nowhere"}, 0),
        ({"platform": "debian:11"}, 0),
    ],
)
def test_a_plan_can_be_narrowed_to_hosts_of_a_kind(works, operator, choice, hosts):
    answer = operator.post("/plans/new", data=form(**choice))

    assert answer.status_code == (303 if hosts else 422)
    if hosts:
        assert "production" in operator.get(answer.location.split("?")[0] + "/why").text


def test_what_is_filtered_in_findings_can_be_planned(works, operator):
    page = operator.get("/findings?severity=high%2B&environment=production&package=openssl").text
    (address,) = re.findall(r'href="(/plans/new\?[^"]*)"', page)

    filled = operator.get(html.unescape(address)).text

    assert '<option value="high+" selected>' in filled
    assert '<option value="production" selected>' in filled
    assert 'name="package" value="openssl"' in filled


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ("q=openssl", "leave out the search"),
        ("overdue=yes&package=openssl", "leave out the filter on due dates"),
        ("status=no_fix", ""),
        ("", ""),
    ],
)
def test_what_no_plan_can_be_narrowed_to_is_not_offered(works, client, clock, filters, said):
    clock.at = clock.at.replace(year=2027)

    page = client(Role.OPERATOR).get(f"/findings?{filters}").text

    assert "Plan what is filtered" not in page
    assert said in page


def test_who_may_not_plan_is_not_offered_it(works, client):
    page = client(Role.VIEWER).get("/findings?package=openssl").text

    assert "Plan what is filtered" not in page


def test_other_rings_let_approvals_fall_and_show_the_difference(works, operator, client):
    plan_id = works.create()
    works.do("propose", plan_id)
    works.do("approve", plan_id, actor="bob")

    operator.post(f"/plans/{plan_id}/rings", data=form({**RING, "max_failures": "2"}))

    page = client(Role.APPROVER).get(f"/plans/{plan_id}").text
    assert "Different from what was approved before" in page
    assert "ring all was added" in page
    assert "No longer counts" in operator.get(f"/plans/{plan_id}/history").text


def test_the_terms_of_a_plan_are_chosen_in_the_form_and_outlast_its_edit(works, operator):
    chosen = {
        "targets": "at-least",
        "approvers": "role:admin, ann",
        "valid": "48h",
        "include_held": "yes",
    }
    operator.post("/plans/new", data=form(**chosen))

    def terms():
        with works.db.reading() as session:
            return queries.get(session, 1, now=works.clock()).terms

    made = terms()
    operator.post("/plans/1/rings", data=sent_again(operator.get("/plans/1/rings").text))
    assert terms() == made
    assert made.to_json() == {
        "include_held": True,
        "approvers": ["ann", "role:admin"],
        "approval_valid": "48h",
    }


# Deciding


def test_an_author_is_told_why_they_cannot_approve(works, client, person):
    plan_id = works.create(actor=person(Role.APPROVER))
    works.do("propose", plan_id)
    approver = client(Role.APPROVER)

    page = approver.get(f"/plans/{plan_id}").text
    answer = approver.post(f"/plans/{plan_id}/approve")

    assert "You made, edited or proposed this plan" in page
    assert answer.status_code == 403


@pytest.mark.parametrize("shown", [{"content_hash": "0" * 64}, {"content_hash": ""}, {}])
def test_an_approval_signs_the_content_that_the_page_showed(works, client, state, shown):
    plan_id = works.create()
    works.do("propose", plan_id)
    approver = client(Role.APPROVER)

    answer = approver.post(f"/plans/{plan_id}/approve", data=shown)

    assert "the plan has changed" in approver.get(answer.location).text.lower()
    assert state(plan_id) is PlanState.PROPOSED


def test_rejecting_needs_a_comment(works, client, state):
    plan_id = works.create()
    works.do("propose", plan_id)
    approver = client(Role.APPROVER)

    refused = approver.post(f"/plans/{plan_id}/reject", data={"comment": " "})
    assert "Say why the plan is rejected, in the comment" in approver.get(refused.location).text
    approver.post(f"/plans/{plan_id}/reject", data={"comment": "Not this week."})

    assert state(plan_id) is PlanState.REJECTED
    assert "Not this week." in approver.get(f"/plans/{plan_id}").text


def test_what_awaits_me_is_what_others_proposed(works, client, person):
    mine = works.create(actor=person(Role.APPROVER), title="Mine")
    theirs = works.create(title="Somebody else's")
    for plan_id in (mine, theirs):
        works.do("propose", plan_id)

    page = client(Role.APPROVER).get("/plans?mine=awaiting").text

    assert f"/plans/{theirs}" in page
    assert f'/plans/{mine}"' not in page


# Under way


@pytest.mark.parametrize("verb", [None, "propose", "pause", "halt"])
@pytest.mark.parametrize("role", list(Role))
def test_every_page_of_a_plan_opens_for_every_role(works, client, verb, role):
    plan_id = works.create() if verb in (None, "propose") else works.started()
    if verb:
        works.do(verb, plan_id, **({} if verb == "propose" else {"reason": "so"}))
    browser = client(role)

    assert {browser.get(f"/plans/{plan_id}{tab}").status_code for tab in TABS} == {200}


def test_the_bar_of_a_ring_that_is_over_parts_its_work_from_its_soak(works, client):
    soaks = RingSettings("canary", fields={"ring": "canary"}, soak=timedelta(hours=12))
    plan_id = works.started(rings=(soaks, RingSettings("broad")))
    works.clock.at += timedelta(hours=6)
    row = ResultRow("canary-1", Outcome.INSTALLED)
    who = {"actor": "ann", "role": Role.OPERATOR, "now": works.clock()}
    rollouts.report_results(works.db, plan_id, [row], **who)
    works.patched("canary-1")  # an hour later, while it soaks
    works.clock.at += timedelta(hours=11)
    works.tick()
    page = client(Role.OPERATOR).get(f"/plans/{plan_id}/times").text
    work, soak = (
        float(re.search(rf'class="{kind}[^>]* width="([\d.]+)"', page).group(1))
        for kind in ("work tone-good", "soak")
    )

    assert soak == pytest.approx(2 * work, rel=0.05)


def test_groups_stand_beside_the_rings_and_outlast_their_edit(works, operator, groups):
    racks = GroupSettings("racks", by="site", max_unavailable_pct=25, order=("hostname",))
    plan_id = works.create(groups=(racks, GroupSettings("<pair>", hosts=("canary-1",))))
    page = operator.get(f"/plans/{plan_id}/times").text

    assert "at most 25% unavailable at a time, for each site, in their order" in page
    assert "&lt;pair&gt;" in page
    shown = sent_again(operator.get(f"/plans/{plan_id}/rings").text)
    first = [shown[f"group-0-{name}"] for name in ("kind", "members", "max_unavailable", "order")]
    assert first == ["by", "site", "25%", "hostname"]
    assert (shown["group-1-kind"], shown["group-1-members"]) == ("hosts", "canary-1")
    answer = operator.post(f"/plans/{plan_id}/rings", data=shown)
    assert answer.status_code == 303
    assert "for each site" in operator.get(f"/plans/{plan_id}/times").text
    assert groups(plan_id) == [
        racks.to_json(), GroupSettings("<pair>", hosts=("canary-1",)).to_json()]  # fmt: skip


def test_who_edits_over_what_somebody_else_has_changed_is_told_and_changes_nothing(works, operator):
    plan_id = works.create()
    at = f"/plans/{plan_id}/rings"
    mine, theirs = (sent_again(operator.get(at).text) for _ in range(2))
    operator.post(at, data=theirs | {"approvers": "bea"})

    answer = operator.post(at, data=mine | {"valid": "3d"})
    again = operator.post(at, data=sent_again(answer.text))

    assert (answer.status_code, again.status_code) == (422, 422)
    assert "changed since you looked at it" in answer.text
    assert 'value="3d"' in answer.text
    kept = sent_again(operator.get(at).text)
    assert (kept["approvers"], kept["valid"]) == ("bea", mine["valid"])


def test_groups_are_added_changed_and_removed_in_the_form(works, operator, groups):
    plan_id = works.create()
    at = f"/plans/{plan_id}/rings"
    more = operator.post(at, data={**sent_again(operator.get(at).text), "add_group": "yes"})
    assert more.status_code == 200
    given = sent_again(more.text) | {
        "group-0-kind": "fields",
        "group-0-members": "site=vienna, environment=production",
        "group-0-name": "vienna",
        "group-0-max_unavailable": "2",
        "group-0-order": "web-2 web-1",
    }

    operator.post(at, data=given)

    made = GroupSettings(
        "vienna",
        fields={"site": "vienna", "environment": "production"},
        max_unavailable=2,
        order=("web-2", "web-1"),
    )
    assert groups(plan_id) == [made.to_json()]
    less = operator.post(at, data={**sent_again(operator.get(at).text), "remove_group": "0"})
    operator.post(at, data=sent_again(less.text))
    assert groups(plan_id) == []


@pytest.mark.parametrize(
    ("change", "field", "complaint"),
    [
        (
            {"max_unavailable": "none"},
            "max_unavailable",
            "A number of hosts, 1 or more, or a share",
        ),
        ({"max_unavailable": "0"}, "max_unavailable", "A number of hosts, 1 or more"),
        ({"members": ""}, "members", "Say which"),
        ({"kind": "fields", "members": "site"}, "members", "is not a column and its value"),
        ({"kind": "fields", "members": "colour=red"}, "members", "is none of"),
        ({"kind": "hosts", "name": ""}, "name", "A group needs a name or by"),
        ({"name": "x" * 65}, "name", "1 to 64 characters"),
    ],
)
def test_what_is_wrong_with_a_group_stands_beside_its_field(
    works, operator, groups, change, field, complaint
):
    plan_id = works.create()
    good = {"name": "a", "kind": "by", "members": "site", "max_unavailable": "1", "order": ""}
    sent = {f"group-0-{name}": value for name, value in (good | change).items()}
    at = f"/plans/{plan_id}/rings"

    answer = operator.post(at, data=sent_again(operator.get(at).text) | sent)

    assert answer.status_code == 422
    at = rf'id="group-0-{field}-problem">(.*?)</p>'
    beside = re.search(at, answer.text, re.DOTALL).group(1)
    assert complaint in beside
    assert groups(plan_id) == []


def test_two_groups_of_one_name_are_told_apart_in_the_form(works, operator):
    plan_id = works.create()
    at = f"/plans/{plan_id}/rings"
    group = {"name": "a", "kind": "hosts", "members": "web-1", "max_unavailable": "1", "order": ""}
    both = {f"group-{n}-{name}": value for n in (0, 1) for name, value in group.items()}

    answer = operator.post(at, data=sent_again(operator.get(at).text) | both)

    assert answer.status_code == 422
    assert answer.text.count("Two groups are called &#39;a&#39;") == 2  # beside both


def test_a_halted_plan_leads_with_why_and_what_can_be_done(works, operator, state):
    plan_id = works.started()
    operator.post(
        f"/plans/{plan_id}/hosts/canary-1/result",
        data={"outcome": "failed", "package": "openssl", "output": "dpkg: error"},
    )

    page = operator.get(f"/plans/{plan_id}").text
    before_rings = page.split("ring-cards")[0]
    assert "1 failure in ring canary, its cap is 0" in before_rings
    assert "Let it pass" in before_rings
    assert "cancel the plan" in before_rings
    assert "dpkg: error" in page
    beside = operator.get(f"/plans/{plan_id}/changes").text  # says that it stands, and where to act
    assert "1 failure in ring canary, its cap is 0" in beside
    assert "See what to do" in beside
    assert "Let it pass" not in beside

    operator.post(f"/plans/{plan_id}/acknowledge", data={"reason": "that host is old"})
    assert state(plan_id) is PlanState.RUNNING


def test_a_failed_host_gets_another_turn(works, operator):
    plan_id = works.started()
    operator.post(f"/plans/{plan_id}/hosts/canary-1/result", data={"outcome": "failed"})

    operator.post(f"/plans/{plan_id}/retry", data={"host": "canary-1", "reason": "disk is free"})

    assert "another turn: disk is free" in operator.get(f"/plans/{plan_id}").text


def test_a_pause_asks_for_a_reason(works, operator, state):
    plan_id = works.started()

    operator.post(f"/plans/{plan_id}/pause", data={"reason": ""})
    assert state(plan_id) is PlanState.RUNNING
    operator.post(f"/plans/{plan_id}/pause", data={"reason": "lunch"})
    assert state(plan_id) is PlanState.PAUSED
    operator.post(f"/plans/{plan_id}/resume")
    assert state(plan_id) is PlanState.RUNNING


def test_cancelling_asks_once_and_names_the_plan(works, operator, state):
    plan_id = works.started()

    page = operator.get(f"/plans/{plan_id}/cancel").text
    empty = operator.post(f"/plans/{plan_id}/cancel", data={"reason": ""})
    operator.post(f"/plans/{plan_id}/cancel", data={"reason": "superseded"})

    assert f"Cancel plan {plan_id}, " in page
    assert "3 hosts will not get what the plan says." in page
    assert empty.status_code == 422
    assert state(plan_id) is PlanState.CANCELLED


def test_a_ring_with_an_approval_of_its_own_asks_for_it(works, client, operator):
    rings = (
        RingSettings("canary", fields={"ring": "canary"}, max_failures=0),
        RingSettings("broad", needs_approval=True),
    )
    plan_id = works.started(rings=rings)
    approver = client(Role.APPROVER)

    assert "that needs the role approver" in operator.get(f"/plans/{plan_id}").text
    page = approver.get(f"/plans/{plan_id}").text
    assert "Approve ring broad" in page
    shown = re.search('name="content_hash" value="([0-9a-f]{64})"', page)[1]
    approver.post(f"/plans/{plan_id}/approve", data={"ring": "broad", "content_hash": shown})
    assert "Approve ring broad" not in approver.get(f"/plans/{plan_id}").text


def test_the_work_of_now_is_downloaded(works, operator):
    plan_id = works.started()

    table = operator.get(f"/plans/{plan_id}/work.csv")
    playbook = operator.get(f"/plans/{plan_id}/work.yml")
    archive = operator.get(f"/plans/{plan_id}/work.zip")

    assert {line.split(",")[2] for line in table.text.splitlines()[1:]} == {"canary-1"}
    assert "ansible.builtin.apt" in playbook.text
    assert archive.data.startswith(b"PK")
    assert operator.get(f"/plans/{plan_id}/work.exe").status_code == 404


def send(operator, plan_id, text):
    data = {"file": (io.BytesIO(text.encode()), "results.csv")}
    return operator.post(f"/plans/{plan_id}/results", data=data)


def test_a_results_file_is_taken_whole(works, operator):
    plan_id = works.started()

    answer = send(operator, plan_id, "host,result\ncanary-1,installed\n")

    page = operator.get(answer.location).text
    assert "Taken: 1 result" in page
    assert "Installed" in page


def test_a_results_file_with_bad_rows_names_each(works, operator):
    plan_id = works.started()

    answer = send(operator, plan_id, "host,result\nnowhere,installed\nweb-1,installed\n")

    assert answer.status_code == 422
    assert "there is no such host" in answer.text
    assert "its turn has not come" in answer.text


def test_the_list_says_how_far_plans_are(works, operator):
    plan_id = works.started(title="OpenSSL now")
    works.create(title="Later")
    operator.post(f"/plans/{plan_id}/hosts/canary-1/result", data={"outcome": "installed"})
    works.patched("canary-1")

    page = operator.get("/plans").text

    assert "1 of 4" in page
    assert "Later" not in operator.get("/plans?state=running").text
    assert operator.get("/plans?format=csv").text.splitlines()[0].startswith("title,state,progress")


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize("verb", ["create", "started"])
def test_pages_of_a_plan_ask_at_most_twelve_questions(works, operator, statements, verb, tab):
    plan_id = getattr(works, verb)()
    operator.get("/plans")  # a session is seen now and then, not on every page

    for _ in ("without a forecast", "with one"):
        statements.clear()
        operator.get(f"/plans/{plan_id}{tab}")
        assert len(statements) <= 12, "\n".join(statements)
        works.forecast()


@pytest.mark.parametrize(
    "path", ["/plans", "/calendar", "/imports", "/reports", "/findings?q=openssl"]
)
def test_lists_ask_at_most_twelve_questions(works, operator, statements, path):
    works.started()
    operator.get("/plans")

    statements.clear()
    operator.get(path)

    assert len(statements) <= 12, "\n".join(statements)
