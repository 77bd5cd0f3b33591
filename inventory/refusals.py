"""Why an import refuses a row or a whole file, and what to do about it: every reason, in one place.

A refused row is named as its file has it: by the file's own name of the column, and the value as
it stands there, whatever a preset or a mapping makes of them.
"""

from dataclasses import dataclass
from enum import Enum

Problem = tuple[str, str, str]  # column and value as the file has them, and what is said of them

_TEXT_KEPT = "format the column as text and export it again"
_ENCODING = "name its encoding (--encoding), or save the file as UTF-8"


class Refusal(Enum):
    """A reason: what is wrong, and what mends it."""

    # of a file
    EMPTY = "is empty", "the first row is the header; export the list again, with its header"
    NO_HEADER = (
        "is not the header of a CSV file",
        "save the list as CSV: text, whose first row names the columns",
    )
    MANY_COLUMNS = (
        "has {count} columns; a file may have {most}",
        "export it without those that nobody needs, or check what separates its fields",
    )
    MARKUP = "begins a page or document of markup", "export the list as CSV"
    JSON = (
        "begins a JSON document",
        "export the list as CSV (a host's own report: report submit)",
    )
    SEPARATOR = (
        "is no separator we know ({known})",
        "name the one that parts the fields, or take this line out",
    )
    TWICE = (
        "stands for {column}, which the header has already",
        "take one of the two columns out, or give it another name and leave that out",
    )
    MISSING = (
        "is missing from the header; it has {header}",
        "name the column that says it: --map THEIRS={column}",
    )
    NO_ROWS = (
        "is a header with no row below it; that a source has nothing is not believed",
        "export the list again",
    )
    NO_NAME = "has no name in the header", "give it one, or take the column out"
    UNKNOWN = "is no column we know", "map it (--map {as_column}, or --map {out} to leave it out)"
    OTHER_KIND = "is an export of {kind}", "{kind} import reads it"
    NOT_CSV = (
        "is not CSV: {error}",
        "put a value that has quotes or line ends in quotes, and write each quote in it twice",
    )
    OPEN_QUOTE = (
        "begins a quoted field that nothing closes before the file ends",
        "close it, or write a quote that belongs to the value twice, in quotes",
    )
    MANY_HOSTS = "is more than the {most} hosts that one file may name", "split the file"
    LONG_LINE = (
        "begins a line longer than {mebibytes} MiB",
        "a list has one host or package a row: export it as CSV, or part its lines (of JSON: jq .)",
    )
    CUT_CHARACTER = (
        "begins a character that the file cuts off",
        "the file is not whole: export or copy it again",
    )
    NOT_ENCODED = "is not {encoding}", _ENCODING
    TWO_ENCODINGS = (
        "is not UTF-8, and byte {other} begins a sign that is",
        "two encodings in one file, or damage: " + _ENCODING,
    )
    NO_ENCODING = "is neither UTF-8 nor Windows-1252", _ENCODING
    UTF_32 = "is UTF-32", "save the file as UTF-8"
    NO_OBJECT = (
        "is no JSON object; the lines above it are one each",
        "the file is cut off or joined wrongly: export it again, or take this line out",
    )
    MANY_KEYS = (
        "has more than {most} different keys in its objects: is no inventory",
        "send the inventory's export: one object a host or a package, all with the same keys",
    )
    NO_ENTRIES = (
        "has no entries of {type}",
        "ask for them: aws ssm get-inventory --result-attributes TypeName={type}",
    )
    UNPACKS_TO_MUCH = (
        "unpacks to more than {mebibytes} MiB, which is refused",
        "unpack it yourself and import the plain file",
    )
    DAMAGED = "is damaged or cut off ({error})", "pack it again, or copy it again"
    WORKBOOK = "is a spreadsheet's workbook", "save its sheet as CSV (UTF-8)"
    FILES = "holds {count} files", "pack the one to import alone"
    ODDLY_PACKED = (
        "is encrypted or packed in an unusual way",
        "pack it again without a password, or import the plain file",
    )
    # of any row
    FEWER_FIELDS = (
        "has {fields}, the header has {width}",
        "write an empty field where there is no value, and a value that has a line end in quotes",
    )
    MORE_FIELDS = (
        "has {fields}, the header has {width}",
        "put a value that has the separator ({sign}) in it in quotes",
    )
    HEADER_AGAIN = "is the header again", "take this row out"
    LONG = "is longer than {most} characters", "shorten it, or leave the column out"
    CONTROL = (
        "has control characters",
        "take them out: line ends, tabs, or signs that nothing shows",
    )
    ROUNDED = "is a number that a spreadsheet has rounded", _TEXT_KEPT
    DATE = "is a date that a spreadsheet made of a number", _TEXT_KEPT
    # of a host
    NO_HOSTNAME = "is empty; every host needs a hostname", "write it, or take this row out"
    HOSTNAME = (
        "is not a hostname (letters, digits, dots, hyphens, underscores)",
        "correct it, or map another column to hostname",
    )
    TOTAL = "adds up other rows and names no host", "take this row out"
    OS_WORD = (
        "is not a value of os-release (letters, digits and . _ + ~ -)",
        "write it as /etc/os-release does, or map the column to os, which takes any name",
    )
    EXPOSURE = "is neither public nor internal", "write one of them, or nothing"
    TAG = "has the tag {tag!r}", "tags are words or key=value, separated by spaces"
    ENTITLEMENT = (
        "has {entitlement!r}",
        "entitlements are words such as esm-infra, separated by spaces",
    )
    REPEATED = "stands on row {row} already", "take one of the two rows out"
    NAME_TAKEN = (
        "is the name of another host",
        "retire that one first (hosts retire {host}), or correct which of the two this row means",
    )
    TWO_MACHINES = (
        "differs from {other!r}, which the host {host} has",
        "two machines under one name are not merged: rename this one, or hosts retire {host} first",
    )
    # of a package
    NO_VALUE = "is empty", "every package needs it: write it, or take this row out"
    MANAGER = "is no package manager we know ({known})", "write one of these"
    SPACES = "has spaces or control characters", "take them out"
    NO_RELEASE = (
        "has no release beside it, and advisories speak of both",
        "export the release with it, or send rpm -qa of that host",
    )
    NVRA = (
        "is no name-version-release.architecture of an rpm",
        "write it as rpm -qa prints it",
    )
    EPOCH = "is no number", "write the epoch in digits, or leave it empty"
    NO_MANAGER = (
        "is on a host whose system has no package manager that we know",
        "say the host's system in hosts.csv, or the manager in a column",
    )
    NO_SUCH_HOST = (
        "is no host of the inventory{rows}",
        "correct it, or import hosts.csv first",
    )
    NO_HOST = (
        "is empty (this row and others)",
        "every row needs a hostname: write it, or take these rows out",
    )

    def __init__(self, why: str, remedy: str) -> None:
        self.why = why
        self.remedy = remedy

    def said(self, **values: object) -> str:
        """Return the reason with its ``values``, and what to do."""
        return str(self.of(**values))

    def of(self, **values: object) -> "Reason":
        return Reason(self.why.format(**values), self.remedy.format(**values))


@dataclass(frozen=True, slots=True)
class Reason:
    """What is wrong with one value, and what mends it in a file."""

    why: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.why}; {self.remedy}"


def wrong_width(count: int, width: int, delimiter: str) -> Problem:
    """Return what is wrong with a row of ``count`` fields under a header of ``width``."""
    few = Refusal.FEWER_FIELDS if count < width else Refusal.MORE_FIELDS
    fields = f"{count} field{'s' * (count != 1)}"
    sign = {"\t": "a tab"}.get(delimiter, delimiter)
    return "", "", few.said(fields=fields, width=width, sign=sign)
