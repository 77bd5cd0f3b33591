"""YAML read as plain text: mappings, lists and strings, nothing guessed about their types.

A version such as ``1.10`` stays as it stands. Anchors, aliases and tags are refused, so that a
small document cannot become a large one.
"""

from typing import TypeAlias

import yaml

from patchmgr.errors import FeedMalformedError

Value: TypeAlias = "dict[str, Value] | list[Value] | str | None"
MAX_DEPTH = 30
_NULL = ("", "~", "null")  # of a plain scalar


def plain(url: str, body: bytes) -> Value:
    """Return the one document in ``body``.

    Lists under a key that repeats in a mapping become one. Raises `FeedMalformedError` for what is
    not YAML, or has more in it than a vendor's data needs.
    """
    builder = _Builder(url)
    try:
        for event in yaml.parse(body, Loader=yaml.CSafeLoader):
            builder.take(event)
    except (yaml.YAMLError, ValueError) as error:
        raise FeedMalformedError(
            f"{url}: not whole YAML: {' '.join(str(error).split())}"
        ) from error
    return builder.document


class _Builder:
    """The containers that are open, outermost first, and the key that waits for its value."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.document: Value = None
        self._documents = 0
        self._open: list[dict[str, Value] | list[Value]] = []
        self._keys: list[str | None] = []

    def take(self, event: yaml.Event) -> None:
        if getattr(event, "anchor", None) is not None:
            raise self._refused("an anchor or alias")
        if getattr(event, "tag", None) is not None:
            raise self._refused("a tag")
        match event:
            case yaml.ScalarEvent():
                is_null = event.implicit[0] and event.value in _NULL
                self._add(None if is_null else event.value)
            case yaml.MappingStartEvent():
                self._begin({})
            case yaml.SequenceStartEvent():
                self._begin([])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()
                self._keys.pop()
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self._refused("a second document")

    def _begin(self, container: dict[str, Value] | list[Value]) -> None:
        if len(self._open) >= MAX_DEPTH:
            raise self._refused(f"more than {MAX_DEPTH} levels")
        repeated = self._repeated() if isinstance(container, list) else None
        if repeated is None:
            self._add(container)
        else:
            self._keys[-1] = None
        self._open.append(container if repeated is None else repeated)
        self._keys.append(None)

    def _repeated(self) -> list[Value] | None:
        """Return the list that already stands under the key that waits."""
        parent = self._open[-1] if self._open else None
        key = self._keys[-1] if self._keys else None
        known = parent.get(key) if isinstance(parent, dict) and key is not None else None
        return known if isinstance(known, list) else None

    def _add(self, value: Value) -> None:
        if not self._open:
            self.document = value
            return
        container = self._open[-1]
        if isinstance(container, list):
            container.append(value)
            return
        key = self._keys[-1]
        if key is None:
            self._keys[-1] = self._key(value)
            return
        if key in container:
            raise self._refused(f"the key {key[:80]!r} twice")
        container[key] = value
        self._keys[-1] = None

    def _key(self, value: Value) -> str:
        if isinstance(value, dict | list):
            raise self._refused("a key that is no text")
        return value or ""

    def _refused(self, what: str) -> FeedMalformedError:
        return FeedMalformedError(f"{self.url}: has {what}, which is refused")
