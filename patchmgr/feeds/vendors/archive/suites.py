"""The suite of a document, from where it lies."""

import re
from itertools import takewhile

from patchmgr.feeds.formats.labels import labels_of, without_labels
from patchmgr.feeds.formats.names import is_name

UNNAMED = "archive"
_DISTS = re.compile(r"(?:^|[/_])dists[/_]([^/_]+)")
_FILE = re.compile(r"(.+)[-_](?:Packages|APKINDEX|primary|modules)")
_DIGEST = re.compile(r"[0-9a-f]{32,128}")  # before rpm-md's file names
_HOST = re.compile(r"[a-z]+://[^/]*")
# Folders that all suites have, and the archive that an APKINDEX was in.
_COMMON = re.compile(
    r"binary-.*|repodata|os|Packages.*|.*\.(?:tar|tgz|zip)(?:\..*)?"
    r"|x86_64|i[3-6]86|x86|aarch64|arm(?:v7|hf|v7hl)?|ppc64(?:le|el)?|s390x|riscv64|noarch"
)


def suite_of(url: str) -> str:
    """Return what ``url`` says, or its name: ``dists/bookworm``, ``security-Packages.gz``.

    Without either, that of the folder it is in.
    """
    place = _HOST.sub("", without_labels(url), count=1)
    said = labels_of(url).get("suite", "")
    dists = _DISTS.search(place)
    found = said or (dists[1] if dists else _named(place))
    return found if is_name(found) else UNNAMED


def _named(place: str) -> str:
    *folders, name = [part for part in place.split("/") if part] or [""]
    file = _FILE.match(name)
    if file and not _DIGEST.fullmatch(file[1]):
        return file[1]
    common = len(list(takewhile(_COMMON.fullmatch, reversed(folders))))
    return folders[-1 - common] if common < len(folders) else UNNAMED
