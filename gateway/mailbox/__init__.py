"""Colored tags in mailboxes of mail that passed the gateway by (IMAP)."""
