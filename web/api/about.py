"""The API about itself: its OpenAPI document, and a page to read it."""

from itertools import groupby
from typing import Any

from flask import Response, render_template
from flask import json as flask_json
from flask.typing import ResponseReturnValue

from patchmgr.domain.accounts import Role
from web.api.document import TAGS, openapi
from web.api.routing import JSON, ROUTES, Raw, pages, route
from web.auth import requires


@route("GET", "/openapi.json", tag="about", role=None, gives=Raw((JSON,), "OpenAPI 3.1", True))
def openapi_json() -> Response:
    """Get this document."""
    return Response(flask_json.dumps(openapi(), sort_keys=False), content_type=JSON)


@pages.get("/docs")
@requires(Role.VIEWER)
def docs() -> ResponseReturnValue:
    """Show the operations to people; it is a page, not an operation."""
    document = openapi()
    tags = list(TAGS)
    ordered = sorted(ROUTES, key=lambda one: tags.index(one.tag))
    groups = [(tag, list(same)) for tag, same in groupby(ordered, key=lambda one: one.tag)]
    return render_template(
        "api/docs.html",
        groups=groups,
        words=TAGS,
        document=document,
        operation=lambda one: document["paths"][one.address][one.method.lower()],
        schema_of=lambda part: _resolved(document, part),
        kind=_kind,
    )


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" in schema:
        found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].split("/")[-1]]
        return found
    return schema


def _kind(schema: dict[str, Any]) -> str:
    """Return what a schema asks for in a few words: ``list of text``, ``integer 1 to 500``."""
    if "$ref" in schema:
        return str(schema["$ref"].split("/")[-1])
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    if "const" in schema:
        return str(schema["const"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    words = {"string": schema.get("format", "text"), "null": "null"}
    text = str(words.get(schema.get("type", ""), schema.get("type", "anything")))
    low, high = schema.get("minimum"), schema.get("maximum")
    return f"{text} {low} to {high}" if low is not None and high is not None else text
