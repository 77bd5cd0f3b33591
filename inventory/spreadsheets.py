"""What spreadsheets do to the values of a file that they open and save.

They show long numbers rounded (``1.00E+15``), take ``22.04`` for a date (``22.Apr``), and keep a
text as a formula (``="007"``). The last can be undone; of the others nobody knows what they were.
"""

import re

from inventory.refusals import Reason, Refusal

_FORMULA = re.compile(r'="([^"]*)"')
_ROUNDED = re.compile(r"[0-9](?:[.,][0-9]{1,14})?E\+[0-9]{2,3}", re.ASCII)
_MONTH = (
    r"(?:jan|feb|mar|mär|mrz|apr|may|mai|jun|jul|aug|sep|sept|oct|okt|nov|dec|dez)[a-zäû]{0,6}\.?"
)
_DATE = re.compile(
    rf"[0-9]{{1,2}}[-. ]{{1,2}}{_MONTH}|{_MONTH}[-. ]{{1,2}}[0-9]{{1,4}}", re.IGNORECASE
)
_TOTALS = {"total", "totals", "grand total", "subtotal", "sum", "summe", "gesamt"}


def unwrapped(cell: str) -> str:
    """Return the text that a cell keeps as a formula: ``="007"`` is 007."""
    found = _FORMULA.fullmatch(cell) if cell.startswith("=") else None
    return found[1].strip() if found else cell


def spoilt(value: str) -> Reason | None:
    """Return why a version, release or id is not what it was; None when nothing shows."""
    if _ROUNDED.fullmatch(value):
        return Refusal.ROUNDED.of()
    if _DATE.fullmatch(value):
        return Refusal.DATE.of()
    return None


def is_total(name: str) -> bool:
    """Return whether a row of this name adds up those above it."""
    return name.lower() in _TOTALS
