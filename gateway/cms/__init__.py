"""Cryptographic messages: SignedData written from prepared templates, and read with suspicion (RFC 5652)."""
