"""JSON: everything, findings last, one a line."""

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from patchmgr.domain.compliance import Dated, HostLine, Report
from patchmgr.services.reports.forms import Rows, document

FINDINGS = "findings.part"


class JsonForm:
    suffix: ClassVar[str] = ".json"
    main: ClassVar[str] = "compliance.json"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._file = (folder / FINDINGS).open("w+", encoding="utf-8")
        self._separator = "\n"
        encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
        self._findings = Rows(
            lambda names, cells: encode(dict(zip(names, cells, strict=True)))[1:-1]
        )

    def add(self, line: HostLine, findings: Sequence[Dated]) -> None:
        for parts in self._findings.of(line, findings):
            self._file.write(f"{self._separator}{{{','.join(parts)}}}")
            self._separator = ",\n"

    def finish(self, report: Report) -> None:
        text = json.dumps(document(report), ensure_ascii=False, indent=1)
        with (self._folder / self.main).open("w", encoding="utf-8") as whole:
            whole.write(text.removesuffix("\n}") + ',\n "findings": [')
            self._file.seek(0)
            shutil.copyfileobj(self._file, whole, 1 << 20)
            whole.write("\n ]\n}\n")
        self._file.close()
        (self._folder / FINDINGS).unlink()
