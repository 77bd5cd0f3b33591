"""The calendar: what is coming, and what people change there."""

from web.calendar import forms
from web.calendar.pages import pages

__all__ = ["forms", "pages"]
