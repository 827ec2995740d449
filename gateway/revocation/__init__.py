"""Fetches revocation data and missing certificates, and keeps them fresh."""
