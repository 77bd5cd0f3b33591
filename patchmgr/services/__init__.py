"""Use cases: each opens its own transaction, decides with `patchmgr.domain`, and stores."""
