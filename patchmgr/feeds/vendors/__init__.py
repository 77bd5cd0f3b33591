"""One module per vendor: where its advisories start, and how to read them."""
