"""A rollout on a virtual fleet: the very same machine, a clock that jumps, hosts that only pretend.

`scenario` says what there is, `reading` reads it, `behaviour` says what a host does, `world` lets
the hosts do it, `calendar` knows windows and freezes, `ledger` keeps tasks and loads those that can
change, `player` brings them together and yields what happens, line by line. `forecast` is the same
with success everywhere; `picture` draws it.
"""
