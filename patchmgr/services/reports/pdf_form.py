"""PDF: the HTML report, set for paper; an extra, since it needs libraries of the system."""

from importlib.util import find_spec
from pathlib import Path
from typing import ClassVar

from patchmgr.domain.compliance import Report
from patchmgr.errors import InputError
from patchmgr.services.reports.html_form import HtmlForm


class PdfForm(HtmlForm):
    """Fewer rows than the HTML, as setting a row costs milliseconds.

    Raises `InputError` when WeasyPrint is not installed.
    """

    suffix: ClassVar[str] = ".pdf"
    main: ClassVar[str] = "compliance.pdf"
    host_rows: ClassVar[int] = 300
    finding_rows: ClassVar[int] = 300

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        try:
            import weasyprint
        except (ImportError, OSError) as error:
            raise InputError(
                {"format": "pdf needs Pango and its extra: pip install 'patchmgr[pdf]'"}
            ) from error
        self._html = weasyprint.HTML

    def finish(self, report: Report) -> None:
        document = self._html(string=self.render(report), url_fetcher=_refuse)
        document.write_pdf(self._folder / self.main, pdf_variant="pdf/ua-1")


def is_installed() -> bool:
    """Return whether the extra is there; whether its libraries load shows when it is used."""
    return find_spec("weasyprint") is not None


def _refuse(url: str, *_options: object, **_named: object) -> None:
    raise ValueError(f"a report is one file and needs nothing from {url}")
