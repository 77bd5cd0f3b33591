"""Other projects' comparisons, every line."""

from pathlib import Path

import pytest

from patchmgr.domain.versions import SCHEMES, compare

VECTORS = Path(__file__).parents[2] / "data" / "vectors"


def facts():
    """Read ``left relation right`` lines of ``vectors/<scheme>/*.txt``."""
    for path in sorted(VECTORS.glob("*/*.txt")):
        for line in path.read_text().splitlines():
            left, relation, right, *_why = line.split()
            yield path.parent.name, left, relation, right


@pytest.mark.parametrize(("scheme", "left", "relation", "right"), list(facts()))
def test_order_is_the_vendors(scheme, left, relation, right):
    assert compare(scheme, left, right) == relation


def test_every_scheme_has_vectors():
    assert {path.name for path in VECTORS.iterdir()} == set(SCHEMES)
