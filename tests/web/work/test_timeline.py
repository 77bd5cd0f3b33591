"""When rings run, by windows, freezes and soaks."""

from datetime import UTC, datetime, timedelta

import pytest

from patchmgr.domain.rings import RingSettings
from patchmgr.domain.rollout.model import Ring, Rollout
from patchmgr.domain.timing import estimate
from patchmgr.domain.windows import Freeze, Window
from web.timeline import Days, draw

NOW = datetime(2026, 3, 2, 9, 30, tzinfo=UTC)  # a Monday
HOUR = timedelta(hours=1)
CANARY = RingSettings("canary", percent=10, soak=24 * HOUR)
BROAD = RingSettings("broad", max_concurrent=2)
NIGHTS = Window("nights", "FREQ=DAILY;BYHOUR=22", 4 * HOUR, "UTC")
PLACEMENT = [(0, "nights", 1), (1, None, 4)]
WORK = timedelta(minutes=45)  # a host's, with its reserve


def stages(placement=PLACEMENT, freezes=(), due=None):
    rollout = Rollout((Ring(CANARY), Ring(BROAD)), {}, frozenset(), "", due=due)
    return rollout, estimate(rollout, placement, {"nights": NIGHTS}, freezes, NOW)


def test_a_ring_waits_for_its_window_and_the_next_one_for_its_soak():
    _, (canary, broad) = stages()

    opens = NOW.replace(hour=22, minute=0)
    assert (canary.starts, canary.works_until) == (opens, opens + WORK)
    assert canary.ends == opens + WORK + 24 * HOUR
    assert (broad.starts, broad.works_until) == (canary.ends, canary.ends + 2 * WORK)  # two by two


def test_a_freeze_moves_a_ring_past_it():
    freeze = Freeze("books", NOW, NOW + 36 * HOUR, "closing")

    _, (canary, _) = stages(freezes=[freeze])

    assert canary.starts == NOW.replace(day=3, hour=22, minute=0)


def test_a_window_that_nobody_made_is_never():
    _, (canary, broad) = stages(placement=[(0, "nights", 1), (1, "nights", 4000)])

    assert canary.starts is not None
    assert broad.ends is None


@pytest.mark.parametrize("due", [None, NOW + 30 * HOUR])
def test_the_picture_says_what_it_shows(due):
    freeze = Freeze("books", NOW + 5 * HOUR, NOW + 6 * HOUR, "closing")
    rollout, found = stages(freezes=[freeze], due=due)

    picture = draw(
        found,
        rollout,
        placement=PLACEMENT,
        windows={"nights": NIGHTS},
        freezes=[freeze],
        now=NOW,
        days=Days(UTC),
    )

    assert "canary: 1 host from Mon 02 Mar 22:00" in picture.summary
    assert (picture.due_x is not None) is (due is not None)
    assert all(picture.left <= bar.x <= picture.width for bar in picture.freezes)
    assert [row.soak is not None for row in picture.rows] == [True, False]
