"""Numbers as text: of any length in versions, and as ids that people and programs send."""

LARGEST_ID = 2**31 - 1  # of a row: what both databases can compare an id with


def whole(text: str, most: int = LARGEST_ID) -> int | None:
    """Return the number that ``text`` is; None when it is none from 0 to ``most``."""
    if text.isascii() and text.isdigit() and len(text) < 20 and int(text) <= most:
        return int(text)
    return None


def counted(digits: str, first: int, last: int) -> str:
    """Return ``digits`` behind their count, so that more digits are more and equal counts compare.

    ``digits`` have no leading zeros, and zero has none at all. The count is one character from
    ``first`` to ``last``, which are below 256; ``last`` itself says that the number is long and its
    count follows in eight. So a number sorts after characters below ``first``, before those above
    ``last``, and what follows it is never compared with its digits.
    """
    count = first + len(digits)
    if count < last:
        return chr(count) + digits
    return chr(last) + len(digits).to_bytes(8).decode("latin-1") + digits
