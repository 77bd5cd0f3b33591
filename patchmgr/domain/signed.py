"""What advisories speak of: the source that an installed package was built from.

Debian signs boot code in source packages of their own, whose version wraps that of what was
signed; its security tracker speaks only of what was signed. The forms below are those of the
archive, where each binary's ``Built-Using`` field names what was signed:

* ``linux-signed-amd64 6.1.187+1`` is ``linux 6.1.187-1``;
* ``grub-efi-amd64-signed 1+2.06+13+deb12u1`` is ``grub2 2.06-13+deb12u1``;
* ``shim-helpers-amd64-signed 1+15.8+1~deb12u1`` is ``shim 15.8-1~deb12u1``;
* ``fwupd-amd64-signed 1.5.7+4`` is ``fwupd 1.5.7-4``; with the epoch it has since Debian 12,
  ``1:1.4+1``, it is ``fwupd-efi 1:1.4-1``;
* binary ``shim-signed 1.44~1+deb12u1+15.8-1~deb12u1`` carries the signed ``shim 15.8-1~deb12u1``.
  Its sibling ``shim-signed-common`` holds scripts only and stays what it is.

Source: wiki.debian.org/SecureBoot (signed packages) and the archive's Packages files.
"""

import re

# upstream+revision, where upstream was joined to its revision by "-" before it was signed. A long
# number after a "+" is a date or a commit of the upstream version, not a revision.
_JOINED = re.compile(
    r"(?P<upstream>(?:[0-9]+:)?[0-9][A-Za-z0-9.+~]*?)"
    r"\+(?P<revision>[0-9]{1,3}(?:\.[0-9]{1,2})*(?:[~+][A-Za-z0-9.+~]*)?)"
)
_SEPARATORS = re.compile(r"[-_.]+")
_COUNTER = re.compile(r"[0-9]+\+")  # how often the same build was signed
_SIGNED_SHIM = re.compile(r"[0-9.]+(?:~[0-9]+)?(?:\+deb[0-9]+u[0-9]+)?\+([0-9][A-Za-z0-9.+~]*-.+)")
_SIGNED = re.compile(
    r"(?:(?P<linux>linux)-signed(?P<line>-[0-9][0-9.]*)?-[a-z0-9]+"
    r"|(?P<grub>grub)-efi-[a-z0-9]+-signed"
    r"|(?P<shim>shim)-helpers-[a-z0-9]+-signed"
    r"|(?P<fwupd>fwupd)(?P<efi>-efi)?-[a-z0-9]+-signed)"
)


def judged_source(
    manager: str, platform: str, name: str, version: str, source: str, source_version: str
) -> tuple[str, str]:
    """Return the name and version of the source that advisories about this package speak of.

    A package without source fields is its own source; a source without a version has the
    package's. A signed version that does not have the expected form is left as it is. Python's
    names are written in many ways (PEP 503); advisories use the plain one.
    """
    if manager == "pypi":
        return _SEPARATORS.sub("-", name).lower(), version
    judged, judged_version = source or name, (source_version if source else "") or version
    if manager != "dpkg" or "signed" not in judged or not platform.startswith("debian:"):
        return judged, judged_version
    if name == "shim-signed" and (shim := _SIGNED_SHIM.fullmatch(version)):
        return "shim", shim[1]
    if signed := _SIGNED.fullmatch(judged):
        return _unsigned(signed, judged, judged_version)
    return judged, judged_version


def _unsigned(signed: re.Match[str], judged: str, version: str) -> tuple[str, str]:
    if signed["grub"] or signed["shim"]:
        original = _split(_COUNTER.sub("", version, count=1)) if _COUNTER.match(version) else None
        return ("grub2" if signed["grub"] else "shim", original) if original else (judged, version)
    if signed["linux"]:
        # The binaries already have the version of what was signed: 6.1.187-1.
        original = version if "-" in version else _split(version)
        return (f"linux{signed['line'] or ''}", original) if original else (judged, version)
    original = _split(version)
    efi = signed["efi"] or version.startswith("1:")
    return ("fwupd-efi" if efi else "fwupd", original) if original else (judged, version)


def _split(joined: str) -> str | None:
    match = _JOINED.fullmatch(joined)
    return f"{match['upstream']}-{match['revision']}" if match else None
