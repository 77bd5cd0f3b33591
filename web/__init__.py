"""Shown to people and programs: pages, the JSON API, and who may see them."""
