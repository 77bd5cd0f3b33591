"""Results files: taken as people make them, refused with row and reason."""

import pytest

from patchmgr.domain.rollout.events import Outcome
from patchmgr.errors import BadFileError
from patchmgr.execution.manual import COLUMNS
from patchmgr.execution.results import Result, read


def one(text: str | bytes) -> Result:
    (result,) = read(text if isinstance(text, bytes) else text.encode(), "r.csv")
    return result


@pytest.mark.parametrize(
    "text",
    [
        "host,result\nweb1,installed\n",
        "host;result\nweb1;installed\n",
        "result\thost\ninstalled\tweb1\n",
        "\ufeffHost,Result\r\nweb1,Installed\r\n",
        "host,result\n\nweb1 , installed\n\n",
        '"host","result"\n"web1","installed"',
    ],
)
def test_a_file_is_read_however_it_was_saved(text):
    assert (one(text).host, one(text).outcome) == ("web1", Outcome.INSTALLED)


def test_every_column_is_taken():
    result = one(
        'host,result,package,output,attempt,reboot\nweb1,failed,curl,"dpkg, line 1\nline 2",2,yes\n'
    )

    assert result == Result(2, "web1", Outcome.FAILED, "curl", "dpkg, line 1\nline 2", 2, True)


def test_columns_of_our_own_export_are_passed_over():
    cells = ["web1" if name == "host" else "1" for name in COLUMNS]
    text = f"{','.join(COLUMNS)},result\n{','.join(cells)},installed\n"
    assert one(text) == Result(2, "web1", Outcome.INSTALLED, package="1", attempt=1)


@pytest.mark.parametrize(
    ("outcomes", "decided"),
    [
        (("installed", "installed"), Outcome.INSTALLED),
        (("installed", "failed"), Outcome.FAILED),
        (("running", "installed"), Outcome.RUNNING),
        (("rolled_back", "failed"), Outcome.FAILED),
    ],
)
def test_rows_of_one_host_about_different_packages_are_one_result(outcomes, decided):
    first, second = outcomes

    assert one(f"host,result,package\nweb1,{first},a\nWEB1,{second},b\n").outcome is decided


@pytest.mark.parametrize(
    ("text", "complaints"),
    [
        ("", ["it is empty; it needs a header and rows"]),
        ("host,result\n", ["it has no rows"]),
        ("hostname,result\nweb1,installed\n", ["this column is missing", "no such column"]),
        ("host,result,host\n", ["this column is there twice"]),
        ("host,result\nweb1\n", ["1 cells where the header has 2"]),
        ("host,result\nweb1,done\n,installed\n", ["write one of running, installed", "name the"]),
        ("host,result\nweb1,installed\nWEB1,failed\n", ["this host is there twice"]),
        ("host,result,attempt\nweb1,installed,x\n", ["write a whole number"]),
        ("host,result,reboot\nweb1,installed,perhaps\n", ["write yes or no"]),
        ('host,result\n"web1,installed\n', ["not CSV"]),
        (b"host,result\n\xff\xfe,installed\n", ["save it as UTF-8"]),
        (b"\x00\x01\x02", ["this column is missing", "this column is missing", "no such column"]),
    ],
)
def test_what_cannot_be_is_refused_whole(text, complaints):
    with pytest.raises(BadFileError) as refused:
        read(text if isinstance(text, bytes) else text.encode(), "r.csv")

    found = [bad.remedy for bad in refused.value.rows]
    assert len(found) == len(complaints)
    assert all(said.startswith(start) for said, start in zip(found, complaints, strict=True))


def test_the_row_is_the_line_of_the_file():
    with pytest.raises(BadFileError, match=r"r\.csv: row 5, column result: 'done' write one of"):
        read(b'host,result,output\nweb1,failed,"a\nb"\n\nweb2,done,\n', "r.csv")
