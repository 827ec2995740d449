"""Settings of the keys this gateway signs with; a secret is named by reference only, and read where it is used."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import Final, Literal

from pydantic import model_validator

from gateway.config.base import AuthorPattern, Name, SecretReference, Strict

KeysRevocation = Literal["hard", "soft", "off"]
"""hard: a key signs only while every certificate of its path is known not to be revoked; soft: it signs unless one is
known to be revoked; off: nobody asks."""

STATE_FILE: Final = "keys-state.jsonl"
"""Where suspensions stand, in the spool's directory, unless the settings say otherwise."""


class KeyFile(Strict):
    """One signing key in files: PKCS#12, or PEM key and certificate chain."""

    label: Name
    kind: Literal["personal", "organization"]
    pkcs12: Path | None = None
    key: Path | None = None
    certificate: Path | None = None
    """PEM: leaf first, then intermediates."""
    passphrase: SecretReference | None = None
    """Required: a key at rest is encrypted."""
    scheme: Literal["pkcs1v15", "pss", "ecdsa"] | None = None
    """Default: what fits the key (RSA: pkcs1v15)."""
    digest: Literal["sha256", "sha384", "sha512"] | None = None
    """Default: sha256; sha384 for P-384."""
    extra_addresses: tuple[AuthorPattern, ...] = ()
    """Mailboxes it may sign for although its certificate does not name them. Most clients show those as broken."""

    @model_validator(mode="after")
    def _complete(self) -> KeyFile:
        if (self.pkcs12 is None) == (self.key is None):
            raise ValueError("give either pkcs12, or key and certificate")
        if (self.key is None) != (self.certificate is None):
            raise ValueError("key and certificate belong together, and not beside pkcs12")
        return self
