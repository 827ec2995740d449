"""The store of trust anchors: pinned by fingerprint, and only ever added to."""
