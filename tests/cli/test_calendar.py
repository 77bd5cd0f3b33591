"""Windows, freezes and the calendar at the command line."""

import json

import pytest

WINDOW = (
    "--rrule",
    "FREQ=WEEKLY;BYDAY=SA;BYHOUR=22",
    "--duration",
    "4h",
    "--zone",
    "Europe/Berlin",
)
