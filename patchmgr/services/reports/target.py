"""Where a report goes when somebody asks for it in a place of their own."""

import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from patchmgr.errors import InputError
from patchmgr.services import drafts, signing
from patchmgr.services.reports import manifest
from patchmgr.services.reports.forms import Form


@dataclass(frozen=True, slots=True)
class Target:
    """Where a report goes: a folder for all its files, or one file for one format's."""

    path: Path
    form: type[Form] | None  # None: a folder

    def write(
        self,
        kept: Path,
        names: Sequence[str],
        content: Mapping[str, object],
        key: Ed25519PrivateKey,
    ) -> tuple[Path, ...]:
        """Copy the files, each whole or not at all, the manifest after what it names."""
        try:
            if self.form is None:
                self.path.mkdir(parents=True, exist_ok=True)
                beside = (signing.PUBLIC_FILE, manifest.MANIFEST)
                signature = manifest.MANIFEST + manifest.SIGNATURE
                each = [(kept / name, self.path / name) for name in (*names, *beside, signature)]
                return tuple(_copy(source, to) for source, to in each)
            return self._write_file(kept / self.form.main, content, key)
        except OSError as error:
            raise InputError({"out": f"{error.filename}: {error.strerror}"}) from error

    def _write_file(
        self, source: Path, content: Mapping[str, object], key: Ed25519PrivateKey
    ) -> tuple[Path, ...]:
        name = f"{self.path.name}.{manifest.MANIFEST}"
        with tempfile.TemporaryDirectory() as folder:
            own = Path(folder) / name
            manifest.write(own, {self.path.name: source}, content, key)
            public = Path(folder) / signing.PUBLIC_FILE
            public.write_bytes(signing.public_pem(key.public_key()))
            beside = self.path.with_name
            return (
                _copy(source, self.path),
                _copy(public, beside(signing.PUBLIC_FILE)),
                _copy(own, beside(name)),
                _copy(own.with_name(name + manifest.SIGNATURE), beside(name + manifest.SIGNATURE)),
            )


def target(out: Path, chosen: Mapping[str, type[Form]], suffixes: Collection[str]) -> Target:
    """Return what ``out`` means; ``suffixes`` are those of every format. Raises `InputError`."""
    if out.is_dir():
        return Target(out, None)
    if len(chosen) == 1:
        ((name, form),) = chosen.items()
        if out.suffix.lower() == form.suffix:
            if not out.parent.is_dir():
                raise InputError({"out": f"there is no folder {out.parent}"})
            return Target(out, form)
        if out.exists() or out.suffix.lower() in suffixes:
            raise InputError({"out": f"{out} does not end in {form.suffix}, the suffix of {name}"})
    elif out.exists() or out.suffix:
        raise InputError({"out": f"{out} must be a folder, for the files of several formats"})
    return Target(out, None)


def _copy(source: Path, to: Path) -> Path:
    with drafts.draft(to) as begun:
        shutil.copyfile(source, begun)
    return to
