"""Certificates as claims, and certification paths as arguments (RFC 5280, RFC 8550)."""
