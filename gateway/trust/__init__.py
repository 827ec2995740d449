"""Pinned certificates: a store that is only added to, and what of it and of the settings is trusted (RFC 5280 6.1.1).

It must never take in a certificate that nobody compared with a published fingerprint, nor forget one by itself.
"""
