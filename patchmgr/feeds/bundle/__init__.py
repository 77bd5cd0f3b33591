"""Bundles: what feeds say, carried to where there is no network, in one signed file.

    feeds-2026-03-02.zip
        manifest.json          what is in it, as of when, and the key that signed this manifest
        manifest.json.sig      the signature, Ed25519, over the manifest's bytes
        debian.jsonl.zst       a document a feed: a line an advisory or another value, packed
        kev.jsonl.zst

`container` is the zip, `lines` the documents, `manifest` the manifest, `reading` and `writing` the
whole. Nothing here opens a file or knows whom to trust: `patchmgr.services.bundles` does.
"""
