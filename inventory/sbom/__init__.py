"""Software bills of materials: what is installed, by package URL.

`cyclonedx` and `spdx` read their documents into components; `components` makes packages of them.
"""
