"""patchmgr: self-hosted patch and update management.

Hosts and their packages are compared with vendor advisories; what is found becomes patch plans
that roll out ring by ring under approval, and compliance reports that can be made again.
"""
