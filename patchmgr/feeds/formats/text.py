"""Text of vendors made fit to be shown and stored."""

TITLE = 160  # characters kept of a title or a reason


def shortened(text: str) -> str:
    """Return ``text`` on one line of at most `TITLE` characters, cut between words."""
    printable = text if text.isprintable() else "".join(c if c.isprintable() else " " for c in text)
    line = " ".join(printable.split())
    if len(line) <= TITLE:
        return line
    return line[: TITLE - 1].rsplit(" ", 1)[0].rstrip(",;:") + "…"
