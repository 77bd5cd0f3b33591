"""Tokens of programs that use the API, and of runners."""

from typing import Literal

from pydantic import Field

from patchmgr.db.queries import accounts as queries
from patchmgr.domain.accounts import Role
from patchmgr.services import tokens
from web.api.routing import actor, route
from web.api.values import In, Out, Plain, When
from web.context import db, now, session


class Token(Out):
    """A token, without its key."""

    id: int
    name: str
    role: str = Field(
        validation_alias="may", description="`runner`: carries out orders, and nothing else."
    )
    created_by: str
    created_at: When
    used_at: When | None
    revoked_at: When | None


class NewToken(Out):
    """A token and its key, shown this once."""

    id: int
    name: str
    role: str
    key: str


class TokenIn(In):
    name: Plain = Field(min_length=1, max_length=100, description="Who or what will use it.")
    role: Literal["viewer", "operator", "approver", "admin", "runner"]


@route("GET", "/tokens", tag="tokens", role=Role.ADMIN, answer=list[Token])
def list_tokens() -> object:
    """List tokens, usable ones first."""
    return queries.tokens(session())


@route("POST", "/tokens", tag="tokens", role=Role.ADMIN, body=TokenIn, answer=NewToken, status=201)
def add_token(body: TokenIn) -> object:
    """Make a token; a runner's fetches orders of plans and reports on them (docs/execution.md)."""
    number, key = tokens.create_for(db(), body.name, body.role, actor=actor(), now=now())
    return {"id": number, "name": body.name, "role": body.role, "key": key}


@route("POST", "/tokens/<int:token_id>/revoke", tag="tokens", role=Role.ADMIN, answer=list[Token])
def revoke_token(token_id: int) -> object:
    """Make a token useless; the answer is what is left and what was revoked."""
    tokens.revoke(db(), token_id, actor=actor(), now=now())
    return queries.tokens(session())
