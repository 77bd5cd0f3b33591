"""The OpenAPI 3.1 document, made from the route table."""

from collections.abc import Iterable
from functools import cache
from importlib import metadata
from typing import Any

from pydantic import TypeAdapter
from pydantic.json_schema import models_json_schema

from patchmgr.domain.numbers import LARGEST_ID
from web.api.routing import JSON, ROUTES, Raw, Route
from web.api.values import Problem

PROBLEM = "application/problem+json"
REFERENCE = "#/components/schemas/{model}"
TAGS = {
    "hosts": "The inventory: hosts, their packages, and the reports they send.",
    "software": "Packages across the fleet, and which hosts have them.",
    "coverage": "What of the fleet cannot be judged.",
    "findings": "What is open where, and why.",
    "advisories": "What vendors say.",
    "exceptions": "What is left alone, why, and until when.",
    "policies": "By when a finding must be closed, and how plans are made.",
    "plans": "Patch plans: content, approval, rollout, results.",
    "leases": "Orders that hosts and runners fetch, and their results.",
    "holds": "Package versions that are known to be bad.",
    "calendar": "Maintenance windows and freezes.",
    "imports": "Files of hosts and packages.",
    "reports": "Compliance reports.",
    "operations": "Feeds and jobs.",
    "tokens": "Keys of programs and runners.",
    "about": "This API.",
}
_PROBLEMS = {
    400: "Not understood",
    401: "No token, or one that is unknown or revoked",
    403: "The role does not cover this",
    404: "No such thing",
    409: "Not possible as things stand",
    413: "Too large",
    422: "Something in it has to be corrected; `errors` says what, by field",
    429: "Too many failed tries, or asked too often; `Retry-After` says when to try again",
    503: "Busy; `Retry-After` says when to try again",
    507: "No room left on the service's disk; the same again when there is",
}


@cache
def openapi() -> dict[str, Any]:
    """Return the document; the same object for every request."""
    paths: dict[str, dict[str, Any]] = {}
    for one in ROUTES:
        paths.setdefault(one.address, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "patchmgr",
            "version": metadata.version("patchmgr"),
            "description": (
                "Lists come in pages: give `next` of one as `cursor` of the following request. "
                "Errors are application/problem+json. Instants are UTC."
            ),
        },
        "servers": [{"url": "/"}],
        "security": [{"token": []}],
        "tags": [{"name": name, "description": words} for name, words in TAGS.items()],
        "paths": paths,
        "components": {
            "schemas": _schemas(),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _schemas() -> dict[str, Any]:
    bodies = [
        (model, "validation")
        for one in ROUTES
        for model in (one.body, one.alternative)
        if model is not None
    ]
    _, found = models_json_schema([*bodies, (Problem, "serialization")], ref_template=REFERENCE)  # type: ignore[list-item] # pairs of a model and its mode
    schemas: dict[str, Any] = dict(found["$defs"])
    for one in ROUTES:
        if one.answer is not None:
            schema = _schema_of(one)
            schemas.update(schema.pop("$defs", {}))
    return dict(sorted(schemas.items()))


def _schema_of(one: Route) -> dict[str, Any]:
    return TypeAdapter(one.answer).json_schema(mode="serialization", ref_template=REFERENCE)


def _operation(one: Route) -> dict[str, Any]:
    role = "for everybody" if one.role is None else f"role {one.role.value} or above"
    if one.takes_hosts:
        role += ", or the host's own token"
    if one.takes_runners:
        role += ", or a runner's token"
    found: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        "description": f"{one.words} Needs: {role}.".strip(),
        "parameters": list(_parameters(one)),
        "responses": _responses(one),
    }
    if one.role is None:
        found["security"] = []
    else:
        found["x-role"] = one.role.value
    if one.body is not None:
        reference = {"$ref": REFERENCE.format(model=one.body.__name__)}
        found["requestBody"] = {"required": True, "content": {JSON: {"schema": reference}}}
    elif one.raw is not None:
        found["requestBody"] = {
            "required": one.raw.is_required,
            "description": one.raw.words,
            "content": {media: _media(one.raw) for media in one.raw.media},
        }
        if one.alternative is not None:
            reference = {"$ref": REFERENCE.format(model=one.alternative.__name__)}
            found["requestBody"]["content"][JSON] = {"schema": reference}
    return found


def _parameters(one: Route) -> Iterable[dict[str, Any]]:
    for name, is_number in one.parameters:
        number = {"type": "integer", "minimum": 0, "maximum": LARGEST_ID}
        text = {"type": "string", "minLength": 1, "pattern": r"^[^/\x00]+$"}
        yield {
            "name": name,
            "in": "path",
            "required": True,
            "schema": number if is_number else text,
        }
    if one.query is not None:
        schema = one.query.model_json_schema(ref_template=REFERENCE)
        for name, part in schema["properties"].items():
            words = part.pop("description", "")
            part.pop("title", None)
            yield {
                "name": name,
                "in": "query",
                "required": name in schema.get("required", ()),
                "description": words,
                "schema": part,
            }
    for name, words in one.headers.items():
        yield {
            "name": name,
            "in": "header",
            "required": False,
            "description": words,
            "schema": {"type": "string"},
        }


def _responses(one: Route) -> dict[str, Any]:
    if one.gives is not None:
        good: dict[str, Any] = {
            "description": one.gives.words,
            "content": {media: _media(one.gives) for media in one.gives.media},
        }
    elif one.answer is not None:
        schema = _schema_of(one)
        schema.pop("$defs", None)
        good = {"description": "Done", "content": {JSON: {"schema": schema}}}
    else:
        good = {"description": "Done"}
    status = one.status if one.answer is not None or one.gives is not None else 204
    problem = {PROBLEM: {"schema": {"$ref": REFERENCE.format(model="Problem")}}}
    return {
        str(status): good,
        **{
            str(code): {"description": words, "content": problem}
            for code, words in _PROBLEMS.items()
        },
    }


def _media(raw: Raw) -> dict[str, Any]:
    return {} if raw.is_binary else {"schema": {"type": "string"}}
