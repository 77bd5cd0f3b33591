"""The figures of one ``make bench``: one JSON document, with a part for each script."""

import json
from pathlib import Path


def keep(path: Path | None, part: str, figures: object) -> None:
    """Put the figures of a part into the document at ``path``, beside those of other parts."""
    if path is None:
        return
    document = json.loads(path.read_text()) if path.exists() else {}
    path.write_text(json.dumps(document | {part: figures}, indent=1) + "\n")
