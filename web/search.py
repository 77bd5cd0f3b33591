"""The search box of the top bar."""

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from patchmgr.db.queries import search as queries
from patchmgr.domain.accounts import Role
from web.auth import requires
from web.context import session

pages = Blueprint("search", __name__, url_prefix="/search")

LONGEST = 200  # characters that are looked for


@pages.get("")
@requires(Role.VIEWER)
def index() -> ResponseReturnValue:
    """Show what matches, or the one host or advisory that is named exactly so."""
    text = request.args.get("q", "").strip()[:LONGEST]
    found = queries.search(session(), text) if text else None
    if found:
        exact = [name for name, _ in found.hosts if name.lower() == text.lower()]
        if exact:
            return redirect(url_for("hosts.show", name=exact[0]))
        refs = [ref for ref, *_ in found.advisories if ref.lower() == text.lower()]
        if refs and not refs[0].startswith("CVE-"):
            return redirect(url_for("advisories.show", ref=refs[0]))
    return render_template("search/index.html", text=text, found=found)
