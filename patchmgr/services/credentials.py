"""What proves who somebody is. Passwords are kept as Argon2id, keys as SHA-256."""

import hashlib
import secrets
import threading
from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from patchmgr.domain import accounts as rules

# OWASP Password Storage Cheat Sheet, Argon2id: m=19456 (19 MiB), t=2, p=1.
_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
_hashing = threading.BoundedSemaphore(4)  # bounds the memory that sign-ins take together


def hashed(password: str) -> str:
    """Return what is kept of a password."""
    with _hashing:
        return _hasher.hash(password)


def verifies(kept: str, password: str) -> bool:
    """Return whether ``kept`` is of this password."""
    try:
        with _hashing:
            return _hasher.verify(kept, password[: rules.PASSWORD_LONGEST + 1])
    except (VerificationError, InvalidHashError):
        return False


def is_outdated(kept: str) -> bool:
    """Return whether a password is to be kept anew, with the costs of today."""
    return _hasher.check_needs_rehash(kept)


@cache
def decoy() -> str:
    """Return a hash that nobody knows the password of, so that an unknown name costs the same."""
    return hashed(secrets.token_urlsafe(32))


def digest(key: str) -> bytes:
    """Return what is kept of a key."""
    return hashlib.sha256(key.encode()).digest()
