"""Compliance reports: made as of an instant, signed, kept, and checked without this service.

The same as-of gives the same bytes: nothing in a file says when it was made, rows have one order,
and only history is read (`patchmgr.db.queries.reports`). To add a format, write a module with a
class like `patchmgr.services.reports.forms.Form` and name it in `FORMS`.
"""

from patchmgr.services.reports.forms import iso, plain
from patchmgr.services.reports.making import (
    FORMS,
    ReportResult,
    make,
    offered,
    stored_file,
    stored_folder,
)
from patchmgr.services.reports.manifest import FileCheck, Verification, verify
from patchmgr.services.signing import fingerprint

__all__ = [
    "FORMS",
    "FileCheck",
    "ReportResult",
    "Verification",
    "fingerprint",
    "iso",
    "make",
    "offered",
    "plain",
    "stored_file",
    "stored_folder",
    "verify",
]
