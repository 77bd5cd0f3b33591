"""Files through the browser: looked into, confirmed, discarded."""

import io

import pytest

from inventory import import_work
from patchmgr.domain.accounts import Role

HOSTS = "hostname,environment\nnew-1,test\nweb-1,staging\n"


@pytest.fixture
def upload(operator, work):
    """Return the address of an upload's page."""

    def send(text, kind="hosts", name="hosts.csv", **more):
        body = text if isinstance(text, bytes) else text.encode()
        data = {"kind": kind, "mode": "snapshot", "file": (io.BytesIO(body), name), **more}
        answer = operator.post("/imports", data=data)
        assert answer.status_code == 303, answer.text
        work()
        return answer.location

    return send


@pytest.fixture
def work(works):
    """Do what the scheduler does with uploads."""
    return lambda: import_work.work(works.db, works.settings.uploads, works.clock)


@pytest.fixture
def confirm(operator, work):
    """Confirm an upload and have it carried out; return its page."""

    def send(address, **data):
        answer = operator.post(f"{address}/apply", data=data)
        assert answer.status_code == 303, answer.text
        work()
        return operator.get(address).text

    return send


def test_looking_into_a_file_changes_nothing(works, operator, upload):
    page = operator.get(upload(HOSTS)).text

    assert "All 2 rows are good" in page
    assert "environment: production → staging" in page
    assert operator.get("/hosts/new-1").status_code == 404


def test_a_confirmed_file_is_imported_and_a_scan_asked_for(works, operator, upload, confirm):
    address = upload(HOSTS)

    page = confirm(address)

    assert operator.get("/hosts/new-1").status_code == 200
    assert "2 rows were taken" in page
    assert operator.post(f"{address}/apply").status_code == 409
    assert "queued" in operator.get("/admin/jobs").text.lower()
    assert list(works.settings.uploads.iterdir()) == []


def test_the_same_file_again_is_all_known(works, operator, upload, confirm):
    confirm(upload(HOSTS))

    assert "Everything in this file is known already" in operator.get(upload(HOSTS)).text


def test_bad_rows_are_shown_downloaded_and_left_behind(works, operator, upload, confirm):
    address = upload("hostname,environment\nnew-1,test\nnot a name,test\n")

    page = operator.get(address).text
    rejects = operator.get(f"{address}/rejects.csv").text
    confirm(address, take_good="1")

    assert "1 row cannot be taken" in page
    assert "not a name" in page
    header, row = rejects.splitlines()
    assert header == "hostname,environment,reason"
    assert row.startswith("not a name,test,")
    assert operator.get("/hosts/new-1").status_code == 200


def test_bad_rows_refuse_the_file_unless_the_good_ones_are_asked_for(works, operator, upload):
    address = upload("hostname,environment\nnew-1,test\nnot a name,test\n")

    answer = operator.post(f"{address}/apply")

    assert answer.status_code == 422
    assert "Nothing was changed" in answer.text
    assert operator.get("/hosts/new-1").status_code == 404


def test_unknown_columns_come_with_suggestions(works, operator, upload, work):
    address = upload("Server Name;Env;Colour\nnew-1;test;red\n")

    page = operator.get(address).text
    operator.post(
        f"{address}/mapping",
        data={"column-0": "hostname", "column-1": "environment", "column-2": "-"},
    )
    work()

    assert "No column stands for hostname yet" in page
    assert '<option value="hostname" selected>' in page
    assert '<option value="environment" selected>' in page
    assert "All 1 row are good" in operator.get(address).text.replace("1 rows", "1 row")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"\n", "is empty"),
        (b"hostname\nn\x81me\n", "byte 11 is neither UTF-8 nor Windows-1252"),
        (b'hostname\n"open\n', "nothing closes"),
        (b"hostname\n" + b"x" * (2 << 20), "begins a line longer than 1 MiB"),
    ],
)
def test_a_file_that_cannot_be_read_says_why(works, operator, upload, body, said):
    assert said in operator.get(upload(body)).text


def test_a_name_of_a_file_is_never_a_path(works, operator, upload):
    address = upload(HOSTS, name="../../etc/passwd")

    assert "<h1>passwd" in operator.get(address).text.replace("\n", "")
    (stored,) = works.settings.uploads.iterdir()
    assert stored.name.startswith("hosts-")


def test_packages_show_what_comes_and_goes(works, operator, upload):
    text = "hostname,manager,name,version\nweb-1,dpkg,bash,5.2.15-2\n"

    page = operator.get(upload(text, kind="packages")).text

    assert "+1" in page
    assert "\N{MINUS SIGN}2" in page


def test_discarding_forgets_the_file(works, operator, upload):
    address = upload(HOSTS)

    operator.post(f"{address}/discard")

    assert list(works.settings.uploads.iterdir()) == []
    assert operator.post(f"{address}/apply").status_code == 409


def test_a_viewer_sees_imports_and_brings_none(works, client, upload):
    address = upload(HOSTS)
    viewer = client(Role.VIEWER)

    assert "Import 2 rows" not in viewer.get(address).text
    assert viewer.post(f"{address}/apply").status_code == 403


def test_an_upload_without_a_file_is_asked_for_one(works, operator):
    answer = operator.post("/imports", data={"kind": "hosts"})

    assert answer.status_code == 422
    assert "Choose a file." in answer.text


def test_a_file_that_cannot_be_imported_does_not_wait_for_confirmation(works, operator, upload):
    page = operator.get(upload(b"\x89PNG\r\n\x1a\n")).text

    assert "Cannot be imported" in page
    assert "Waits for confirmation" not in page
    assert "upload it again" in page


def test_a_file_without_a_needed_column_waits_for_it(works, operator, upload):
    page = operator.get(upload("machine,environment\nnew-1,test\n")).text

    assert "Waits for its columns" in page


def test_what_is_taken_away_is_said(works, operator, upload, confirm):
    confirm(upload("hostname,tags\nweb-1,role=web\n"))

    page = operator.get(upload("hostname,tags\nweb-1,\n")).text

    assert "tags: role=web → nothing" in page
