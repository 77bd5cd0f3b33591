"""The one route table, and what every operation does before and after its own view."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any, TypeVar

from flask import Blueprint, Response, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, TypeAdapter, ValidationError

from patchmgr.domain.accounts import Role
from patchmgr.errors import InputError
from web import bodies
from web.auth import hosts_too, public, requires, runners_too
from web.context import now, speaker_or_none, viewer

PREFIX = "/api/v1"
JSON = "application/json"

LARGEST = 32 << 20  # bytes of a JSON body
LARGEST_OF_ANYBODY = 64 << 10  # of one that nobody has to sign in for

pages = Blueprint("api", __name__, url_prefix=PREFIX)
View = TypeVar("View", bound=Callable[..., Any])
Body = TypeVar("Body", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Raw:
    """A body that is not JSON: its media types, and what it is."""

    media: tuple[str, ...]
    words: str
    is_binary: bool = False
    is_required: bool = True


@dataclass(frozen=True, slots=True)
class Route:
    """One operation. A ``role`` of None is for everybody."""

    method: str
    path: str  # below `PREFIX`, parameters as Flask has them: /plans/<int:plan_id>
    name: str
    summary: str
    words: str
    tag: str
    role: Role | None
    query: type[BaseModel] | None
    headers: Mapping[str, str]  # that the operation reads: name -> what it is
    body: type[BaseModel] | None
    raw: Raw | None
    alternative: type[BaseModel] | None  # a JSON body that may come instead of the raw one
    answer: Any  # a type that pydantic can write; None: no JSON
    gives: Raw | None  # what it answers instead of JSON
    status: int
    takes_hosts: bool  # a host's own token opens it as well
    takes_runners: bool  # and so does a runner's

    @property
    def address(self) -> str:
        """The path as OpenAPI has it: /api/v1/plans/{plan_id}."""
        return PREFIX + re.sub(r"<(?:[a-z]+:)?([a-z_]+)>", r"{\1}", self.path)

    @property
    def parameters(self) -> list[tuple[str, bool]]:
        """Return the names in the path, each with whether it is a number."""
        return [
            (name, kind == "int:") for kind, name in re.findall(r"<([a-z]+:)?([a-z_]+)>", self.path)
        ]


ROUTES: list[Route] = []


def route(
    method: str,
    path: str,
    *,
    tag: str,
    role: Role | None = Role.VIEWER,
    query: type[BaseModel] | None = None,
    headers: Mapping[str, str] | None = None,
    body: type[BaseModel] | None = None,
    raw: Raw | None = None,
    alternative: type[BaseModel] | None = None,
    answer: Any = None,
    gives: Raw | None = None,
    status: int = 200,
    takes_hosts: bool = False,
    takes_runners: bool = False,
) -> Callable[[View], View]:
    """Add an operation; the first line of the view's docstring is its summary.

    The view gets the parts of the path, and ``query`` and ``body`` as checked values where the
    operation has them. What it returns is written as ``answer``, unless it is a response already.
    """

    def add(view: View) -> View:
        summary, _, words = (view.__doc__ or "").strip().partition("\n")
        one = Route(
            method,
            path,
            view.__name__,
            summary.rstrip("."),
            " ".join(words.split()),
            tag,
            role,
            query,
            headers or {},
            body,
            raw,
            alternative,
            answer,
            gives,
            status,
            takes_hosts,
            takes_runners,
        )
        ROUTES.append(one)
        wrapped = (
            public(_answering(one, view)) if role is None else requires(role)(_answering(one, view))
        )
        if takes_hosts:
            wrapped = hosts_too(wrapped)
        if takes_runners:
            wrapped = runners_too(wrapped)
        pages.add_url_rule(path, view.__name__, wrapped, methods=[method])
        return view

    return add


def _answering(one: Route, view: Callable[..., Any]) -> Callable[..., ResponseReturnValue]:
    writer = None if one.answer is None else TypeAdapter(one.answer)

    @wraps(view)
    def wrapped(**parts: Any) -> ResponseReturnValue:
        for name, value in parts.items():
            if isinstance(value, str) and "\0" in value:
                raise InputError({name: "has a character that no name has"})
        if one.query is not None:
            parts["query"] = _query(one.query)
        elif request.args:
            raise InputError({next(iter(request.args)): "this address takes no parameters"})
        if one.body is not None:
            parts["body"] = read_json(one.body, LARGEST if one.role else LARGEST_OF_ANYBODY)
        found = view(**parts)
        if isinstance(found, Response):
            return found
        if writer is None:
            return Response(status=204)
        text = writer.dump_json(writer.validate_python(found, from_attributes=True), by_alias=True)
        return Response(text, status=one.status, content_type=JSON)

    return wrapped


def _query(model: type[BaseModel]) -> BaseModel:
    twice = [name for name, values in request.args.lists() if len(values) > 1]
    if twice:
        raise InputError({twice[0]: "is given twice"})
    try:
        return model.model_validate(request.args.to_dict())
    except ValidationError as error:
        raise _problems(error) from error


def read_json(model: type[Body], most: int = LARGEST) -> Body:
    """Return the request's body as ``model``. Raises `InputError`, `RequestEntityTooLarge`."""
    if request.mimetype != JSON:
        raise InputError({"Content-Type": f"must be {JSON}"})
    try:
        return model.model_validate_json(bodies.read_whole(most), strict=True)
    except ValidationError as error:
        raise _problems(error) from error


def _problems(error: ValidationError) -> InputError:
    """Return what pydantic says, by field."""
    return InputError(
        {
            ".".join(str(part) for part in one["loc"]): one["msg"].removeprefix("Value error, ")
            for one in error.errors(include_url=False)
        }
    )


def actor() -> str:
    """Return whom the audit names: who asks, or the host whose token was sent."""
    speaker = speaker_or_none()
    return viewer().name if speaker is None else speaker.name


def who() -> dict[str, Any]:
    """Return who acts, in which role and when, as every service asks."""
    return {"actor": actor(), "role": viewer().role, "now": now()}
