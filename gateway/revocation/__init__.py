"""Revocation data and missing issuers, fetched from listed hosts and kept on disk (RFC 5280, RFC 6960).

Every place it is asked to go to was chosen by a stranger's certificate. It must never ask a host that is not listed or
an address inside our own networks, keep an answer without checking it, let mail wait, or raise at a message.
"""
