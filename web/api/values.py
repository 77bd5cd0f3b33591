"""What the API's documents are made of; every outward form is written down, none is derived."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from patchmgr.domain.advisories import Severity

MOST = 500  # rows of a page
PLAIN = r"^[^\x00]*$"  # PostgreSQL stores no NUL

Row = TypeVar("Row")


def _severity(value: object) -> object:
    return value.word if isinstance(value, Severity) else value


def _flag(value: object) -> object:
    words = {"true": True, "false": False}
    if isinstance(value, str):
        if value not in words:
            raise ValueError("must be true or false")
        return words[value]
    return value


def _instant(value: object) -> object:
    if not isinstance(value, str):
        return value
    try:
        at = datetime.fromisoformat(value.replace(" ", "+") if "+" not in value else value)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError) as error:  # in UTC it can be before all years, or after
        raise ValueError("is no instant; write it as 2026-03-02T14:30:00Z") from error
    raise ValueError("needs its zone: 2026-03-02T14:30:00Z")


SeverityWord = Annotated[
    Literal["unknown", "negligible", "low", "medium", "high", "critical"],
    BeforeValidator(_severity),
]
Flag = Annotated[bool, BeforeValidator(_flag)]
When = Annotated[
    datetime,
    BeforeValidator(_instant),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
Words = Annotated[list[str], BeforeValidator(list)]
Plain = Annotated[str, Field(max_length=200, pattern=PLAIN)]
Text = Annotated[str, Field(max_length=4000, pattern=PLAIN)]
Seconds = Annotated[
    float, PlainSerializer(float), WithJsonSchema({"type": "number", "description": "seconds"})
]
Document = dict[str, Any]


class Out(BaseModel):
    """A part of an answer, read from a query's line."""

    model_config = ConfigDict(from_attributes=True)


class In(BaseModel):
    """A body or the parameters of an operation; what it does not know is refused."""

    model_config = ConfigDict(extra="forbid")


class PageOf(Out, Generic[Row]):
    """Some rows of a listing; ``next`` is the cursor of the following page, null at the end."""

    items: list[Row]
    total: int
    next: str | None = None


class Paging(In):
    """Which page of a listing."""

    limit: int = Field(50, ge=1, le=MOST, description="Rows of a page.")
    cursor: Plain = Field("", description="`next` of the page before.")


class Problem(Out):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: dict[str, str] | None = None


def severity(word: str) -> Severity:
    """Return the severity called ``word``, one of those that `SeverityWord` lets through."""
    return Severity[word.upper()]


def page(found: Any) -> dict[str, Any]:
    """Return a query's page as a `PageOf` reads it."""
    return {"items": list(found.lines), "total": found.total, "next": found.next}
