"""The blueprint of all pages about plans, and how they speak of a refusal."""

from flask import Blueprint

from patchmgr.errors import PatchmgrError

pages = Blueprint("plans", __name__, url_prefix="/plans")


def sentence(error: PatchmgrError) -> str:
    """Return a refusal as a sentence for people."""
    text = str(error)
    return f"{text[:1].upper()}{text[1:]}."
