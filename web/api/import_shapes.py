"""What imports and their sources look like to programs."""

from typing import Annotated, Literal

from pydantic import Field

from web.api.values import PLAIN, Flag, In, Out, Plain, Text, When, Words

LARGEST = 2**53 - 1  # number that every program reads as it was written


class Change(Out):
    host: str
    kind: str = Field(description="new or changed")
    details: Words


class Difference(Out):
    """What an import did, or would do."""

    dry_run: bool
    rows: int
    new: int
    changed: int
    unchanged: int
    packages_added: int
    packages_removed: int
    changes: list[Change] = Field(description="The first few.")
    not_judged: int = Field(0, description="Rows left out: of nothing that could be judged.")
    not_judged_why: Words = Field(default_factory=list, description="The first of them.")


class Counts(Out):
    """What an import did, or would do, in numbers."""

    rows: int
    new: int
    changed: int
    unchanged: int
    packages_added: int
    packages_removed: int
    rejected: int
    gone: int = Field(0, description="Hosts that a full export of the source lacks.")
    retired: int = Field(0, description="Those of them that were to be retired.")
    undetermined: int = Field(0, description="Rows whose operating system cannot be told.")
    without_feed: int = Field(0, description="Rows of a release that no feed speaks of.")


class Reject(Out):
    row: int
    column: str
    value: str
    remedy: str


class Meaning(Out):
    """A column of the file."""

    name: str
    ours: str = Field(description="What it stands for; `-`: left out; empty: not known yet.")
    suggestion: str = ""
    samples: Words


class Upload(Out):
    """A file that was sent, and what became of it."""

    id: int
    kind: str
    mode: str
    filename: str
    source: str
    state: str = Field(
        description="`waiting`, `checking`, `previewed` (decide on it), `confirmed`, `applying`, "
        "`applied`, `discarded`, `interrupted`"
    )
    progress: int = Field(description="Percent of the file that the step under way has read.")
    size: int = Field(description="Bytes.")
    problem: str = Field(description="Why it cannot be imported as it is.")
    error: str = Field(description="Why the last attempt changed nothing.")
    read: str = Field(description="Encoding, separator and preset, as recognised.")
    missing: Words = Field(description="Required columns that nothing stands for.")
    columns: list[Meaning]
    difference: Counts | None
    changes: list[Change] = Field(description="The first few.")
    gone: Words = Field(description="Hosts that a full export lacks: the first thousand.")
    releases_without_feed: Words = Field(description="Nothing on their hosts can be judged.")
    not_judged: int = Field(description="Rows left out: of nothing that could be judged.")
    not_judged_why: Words = Field(description="The first of them.")
    new_source: bool = Field(description="Nothing is known of the source yet.")
    rejects: list[Reject] = Field(description="The first hundred.")
    rejects_address: str = Field(description="Where all rejected rows are, if there are any.")
    uploaded_by: str
    uploaded_at: When
    finished_at: When | None


class HostsQuery(In):
    dry_run: Flag = Field(False, description="Only say what it would do.")
    map: Text = Field(
        "", description="Columns: `theirs=ours`, separated by commas; `theirs=-` leaves one out."
    )


class PackagesQuery(HostsQuery):
    mode: Literal["snapshot", "merge"] = Field(
        "snapshot", description="`snapshot`: all that each named host has."
    )


class UploadQuery(In):
    kind: Literal["hosts", "packages"]
    mode: Literal["snapshot", "merge"] = Field("snapshot", description="Of packages.")
    source: Text = Field("", description="Whose export it is; read as was saved for it.")
    full_export: Flag = Field(False, description="It names all hosts of the source.")
    save_mapping: Flag = Field(False, description="Remember for the source how it is read.")
    filename: Text = Field("", description="What it is called where it comes from.")
    encoding: Text = Field("", description="Where it does not show by itself.")
    preset: Text = Field("", description="Whose export it is; `none`: of nobody known.")
    map: Text = Field("", description="Columns: `theirs=ours`, separated by commas.")


class NewUpload(UploadQuery):
    """A file that is to be sent in pieces."""

    filename: Text = Field(min_length=1, description="What it is called where it comes from.")
    size: int = Field(ge=0, le=LARGEST, description="Bytes, of the whole file.")
    modified: int = Field(
        0, ge=0, le=LARGEST, description="When it was last changed: milliseconds since 1970."
    )
    anew: bool = Field(False, description="Throw away what is kept of a file that looks the same.")


class PieceQuery(In):
    offset: int = Field(ge=0, le=LARGEST, description="Where in the file the piece begins.")
    digest: str = Field(
        pattern=r"^[0-9a-f]{64}$",
        description="Of the first piece: its SHA-256. Of a further one: SHA-256 over `digest` so "
        "far and the SHA-256 of the piece, one after the other as they are written here.",
    )


class Unfinished(Out):
    """A file that is sent in pieces, and how far it is."""

    id: int
    filename: str
    kind: str
    size: int = Field(description="Bytes, of the whole file.")
    received: int = Field(description="Bytes that are kept: where the next piece begins.")
    digest: str = Field(description="Of what is kept; hold it against your file to go on.")
    piece: int = Field(description="Bytes of each piece but the last.")
    uploaded_by: str
    begun_at: When
    heard_at: When = Field(description="When the last piece came.")
    import_id: int | None = Field(description="The import that it became, once it is whole.")


class Confirmation(In):
    take_good: bool = Field(False, description="Take the good rows although others are refused.")
    retire: list[Annotated[str, Field(max_length=253, pattern=PLAIN)]] = Field(
        [], description="Hosts to retire among those gone.", max_length=100_000
    )
    retire_missing: bool = Field(False, description="Retire all that are gone.")


class NewColumns(In):
    mapping: dict[Plain, Plain] = Field(description="Column of the file to one of ours, or to `-`.")
    preset: Plain = Field("none", description="A preset instead of a mapping.")
    encoding: Plain = ""


class Source(Out):
    """How the files of a source are read."""

    name: str
    kind: str
    mapping: dict[str, str]
    preset: str
    encoding: str
    hosts: int = Field(description="Hosts that it named last.")
    saved_by: str
    saved_at: When


class NewSource(In):
    kind: Literal["hosts", "packages"]
    mapping: dict[Plain, Plain] = Field(
        {}, description="Column of the file to one of ours, or to `-`."
    )
    preset: Plain = ""
    encoding: Plain = ""
