"""Names and versions as they are stored: one printable line, not too long."""

LONGEST = 200  # characters of a name or a version


def is_name(text: str) -> bool:
    """Return whether ``text`` can stand as a name or a version."""
    return 0 < len(text) <= LONGEST and text.isprintable()
