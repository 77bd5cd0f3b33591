"""Who may do what, said once for services, however the request came in."""

from patchmgr.domain.accounts import Role
from patchmgr.errors import ForbiddenError


def require(role: Role, needed: Role, what: str) -> None:
    """Raise `ForbiddenError` unless ``role`` covers ``needed``. ``what`` completes the sentence."""
    if not role.covers(needed):
        raise ForbiddenError(f"{what} needs the role {needed.value}, not {role.value}")
