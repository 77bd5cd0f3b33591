"""What Ubuntu Pro says a machine is entitled to: ``/var/lib/ubuntu-advantage/status.json``.

Source: the ``pro status --format json`` schema of ubuntu-pro-client.
"""

import json

from inventory.facts import FEW, UnreadableError
from patchmgr.domain.host_facts import Subscription

_LONGEST = 64


def read(text: str) -> Subscription:
    """Return what the status says. Raises `UnreadableError`."""
    try:
        said = json.loads(text)
    except (ValueError, RecursionError) as error:
        line = getattr(error, "lineno", 0)
        raise UnreadableError(line, "", "is not JSON") from error
    if not isinstance(said, dict) or not isinstance(said.get("attached"), bool):
        raise UnreadableError(0, "", "has no attached: is not the status of Ubuntu Pro")
    services = said.get("services", [])
    if not isinstance(services, list) or len(services) > FEW or not all(map(_is_service, services)):
        raise UnreadableError(0, "", "has services without a name and status")
    found = {each["name"]: each.get("status") or "n/a" for each in services}
    return Subscription(said["attached"], dict(sorted(found.items())))


def _is_service(each: object) -> bool:
    if not isinstance(each, dict) or not _is_word(each.get("name")):
        return False
    status = each.get("status")  # an unattached machine has "available" instead
    return status is None or _is_word(status)


def _is_word(value: object) -> bool:
    return isinstance(value, str) and len(value) <= _LONGEST and value.isprintable()
