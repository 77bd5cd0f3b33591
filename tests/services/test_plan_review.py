"""What people ask of plans before they decide, on both databases."""

from datetime import timedelta

from inventory import import_work, uploads
from patchmgr.db.queries import imports, plan_review, windows
from patchmgr.domain.rollout.events import Outcome


def ask(fleet, query, *arguments, **more):
    with fleet.db.reading() as session:
        return query(session, *arguments, **more)


def test_the_list_knows_progress_and_approvals(fleet):
    running, draft = fleet.started(title="One"), fleet.create(title="Two")

    lines = ask(fleet, plan_review.listing).lines

    assert [(line.id, line.state, line.approvals, line.ring) for line in lines] == [
        (draft, "draft", 0, "canary"),
        (running, "running", 1, "canary"),
    ]
    assert (lines[1].hosts, lines[1].counted, lines[1].verified) == (5, 5, 0)


def test_each_order_pages_through_all(fleet):
    made = {fleet.create(title=title) for title in ("b", "a", "c")}

    for sort in plan_review.SORTS:
        for descending in (False, True):
            seen, cursor = [], ""
            while cursor is not None:
                page = ask(
                    fleet,
                    plan_review.listing,
                    sort=sort,
                    descending=descending,
                    limit=1,
                    cursor=cursor,
                )
                seen += [line.id for line in page.lines]
                cursor = page.next
            assert (len(seen), set(seen)) == (3, made), sort


def test_filters_leave_what_they_say(fleet):
    mine, other = fleet.create(title="Kernel"), fleet.create(title="OpenSSL")
    fleet.do("propose", other)

    def found(**filters):
        return [line.id for line in ask(fleet, plan_review.listing, **filters).lines]

    assert found(search="kern") == [mine]
    assert found(search=str(other)) == [other]
    assert found(state="proposed") == [other]
    assert found(state="open", author="ann") == [other, mine]
    assert (found(state="over"), found(author="bob")) == ([], [])
    assert (found(awaiting="bob"), found(awaiting="ann")) == ([other], [])


def test_what_it_closes_comes_worst_first(fleet):
    plan_id = fleet.create()

    lines = ask(fleet, plan_review.advisories, plan_id)

    assert lines[0].severity == max(line.severity for line in lines)
    assert lines[0].findings == 5 * len(lines[0].packages)


def test_how_the_hosts_stand(fleet):
    plan_id, other = fleet.create(), fleet.create(title="Other")

    standing = ask(
        fleet, plan_review.standing, plan_id, now=fleet.now + timedelta(days=9), silent_days=7
    )

    assert len(standing.silent) == len(standing.without_window) == 5
    assert standing.elsewhere == ((other, "Other", 5),)
    assert "openssl" in standing.first_time


def test_a_host_that_another_plan_is_done_with_takes_no_turn(fleet):
    plan_id, other = fleet.create(), fleet.started(title="Other")
    fleet.report(other, "c1", outcome=Outcome.FAILED)

    standing = ask(fleet, plan_review.standing, plan_id, now=fleet.now, silent_days=7)

    assert standing.elsewhere == ((other, "Other", 4),)


def test_a_window_that_hosts_name_and_nobody_made_is_missing(fleet):
    fleet.set_up(window="nights")

    assert ask(fleet, windows.missing_windows) == [("nights", 5)]


def test_an_upload_goes_from_look_to_applied(fleet, tmp_path):
    path = tmp_path / "more.csv"
    path.write_text("Server,site\nnew-1,graz\n", encoding="utf-8")
    folder, who = fleet.settings.uploads, {"actor": "ann", "now": fleet.now}
    with path.open("rb") as content:
        wish = uploads.Wish("hosts")
        number = uploads.receive(
            fleet.db, content, wish, filename="more.csv", uploads=folder, **who
        )

    def work():
        return import_work.work(fleet.db, folder, lambda: fleet.now)

    work()
    uploads.remap(fleet.db, number, {"Server": "hostname"}, **who)
    work()
    uploads.confirm(fleet.db, number, take_good=False, **who)
    work()

    (line,) = ask(fleet, imports.listing, state="applied").lines
    made = line.preview["summary"]
    assert (made["new"], line.rows, line.filename) == (1, 1, "more.csv")
