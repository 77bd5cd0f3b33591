"""Windows and freezes along a clock that only goes forward."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from patchmgr.domain.freezes import merged
from patchmgr.domain.rollout.events import Tick
from patchmgr.domain.windows import Freeze, Opening, Window, openings

_AHEAD = timedelta(days=45)  # openings are worked out so far at a time


class Calendar:
    """What is open and what is frozen at an instant, and when that changes next."""

    def __init__(self, windows: Mapping[str, Window], freezes: Sequence[Freeze]) -> None:
        self.windows = dict(windows)
        self.freezes = sorted(freezes, key=lambda freeze: (freeze.starts, freeze.ends, freeze.name))
        self._merged = merged(freezes)
        self._openings: dict[str, list[Opening]] = {name: [] for name in self.windows}
        self._known_until: datetime | None = None
        self._valid: tuple[datetime, datetime] | None = None
        self._tick = Tick(datetime.min.replace(tzinfo=UTC))

    def tick(self, at: datetime, content_hash: str, *, is_late: bool) -> Tick:
        """Return what a tick at ``at`` means; ``at`` must not go back.

        ``is_late`` says that a ring has waited so long that it matters when it was frozen.
        """
        self._look(at)
        known = self._tick
        return Tick(
            at,
            known.windows,
            known.frozen,
            known.frozen_from,
            content_hash,
            self.frozen_times(at) if is_late else (),
        )

    def frozen_times(self, at: datetime) -> tuple[tuple[datetime, datetime], ...]:
        """Return when it was frozen up to ``at``."""
        return tuple((start, min(end, at)) for start, end in self._merged if start < at)

    def next_change(self, at: datetime) -> datetime:
        """Return when a window opens or closes or a freeze begins or ends, after ``at``.

        It can be earlier, where nothing is known yet; then nothing changes.
        """
        self._look(at)
        assert self._valid is not None  # noqa: S101 -- `_look` has set it
        return self._valid[1]

    def _look(self, at: datetime) -> None:
        if self._valid is not None and self._valid[0] <= at < self._valid[1]:
            return
        if self._known_until is None or at + timedelta(days=1) >= self._known_until:
            self._known_until = at + _AHEAD
            for name, window in self.windows.items():
                self._openings[name] = list(openings(window, at, self._known_until))
        changes = [self._known_until - timedelta(days=1)]
        open_now: dict[str, datetime] = {}
        for name, found in self._openings.items():
            while found and found[0][1] <= at:
                del found[0]
            for start, end in found:
                if start > at:
                    changes.append(start)
                    break
                open_now[name] = max(end, open_now.get(name, end))
                changes.append(end)
        frozen = [freeze for freeze in self.freezes if freeze.covers(at)]
        later = [freeze.starts for freeze in self.freezes if freeze.starts > at]
        changes += [freeze.ends for freeze in frozen] + later[:1]
        why = "; ".join(
            f"{one.name} until {one.ends:%Y-%m-%d %H:%M} UTC ({one.reason})" for one in frozen
        )
        self._tick = Tick(at, open_now, why, min(later, default=None))
        self._valid = at, min(change for change in changes if change > at)
