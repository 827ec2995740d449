"""What inbound mail is judged by, and what its recipients see (RFC 8601, RFC 5280, RFC 6960).

No allowance here can make a broken signature, an unknown root or a revoked certificate look good.
"""

from __future__ import annotations

from pathlib import Path  # noqa: TC003 - pydantic reads the annotation
from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.config.base import MEBI, Domain, Domains, Name, Network, SecretReference, Strict, WebHost


class FamilySettings(Strict):
    """Trust anchors under one name: whose authority they are, and what it may speak for."""

    name: Name
    vi: Annotated[str, Field(min_length=1, max_length=60)]
    """What recipients read."""
    en: Annotated[str, Field(min_length=1, max_length=60)]
    anchors: tuple[Path, ...] = ()
    """PEM or DER files; those that `gateway trust add --family NAME` took in come on top."""
    intermediates: tuple[Path, ...] = ()
    uses: tuple[Literal["mail", "timestamps", "own_keys"], ...] = ("mail",)
    domains: tuple[Domains, ...] = ()
    """Mail domains it may speak for: "tinh.example", "*.tinh.example"; empty: every domain."""
    allow: tuple[Literal["no_extended_key_usage", "no_extensions", "address_in_subject"], ...] = (
        "no_extended_key_usage",
        "address_in_subject",
    )
    """What its certificates may lack; each one used is said in the verdict."""


class FetchSettings(Strict):
    """Fetching of revocation data and missing intermediates; plain HTTP, since what is fetched is signed."""

    hosts: tuple[WebHost, ...] = ()
    """Hosts that may be asked, "ca.example" or "*.ca.example", on ports 80 and 443, else "ca.example:8080"; empty:
    nothing is ever fetched."""
    private_networks: tuple[Network, ...] = ()
    """Addresses that are not public and may be asked all the same, such as an intranet's responder."""
    timeout: Annotated[float, Field(gt=0, le=60)] = 5.0
    """Seconds for one answer, connecting included."""
    patience: Annotated[float, Field(gt=0, le=60)] = 8.0
    """Seconds that one message waits for everything; what comes later serves the next one."""
    max_octets: Annotated[int, Field(ge=65536)] = 32 * MEBI
    """Of one answer."""
    ocsp_max_age: Annotated[float, Field(gt=0)] = 3600.0
    """Seconds for which an answer of a responder is believed from the cache, if it does not end before."""
    crl_max_age: Annotated[float, Field(gt=0)] = 4 * 3600.0
    """The same for a revocation list."""


class TrustSettings(Strict):
    """Trust anchors and what completes paths to them."""

    anchors: tuple[Path, ...] = ()
    """PEM or DER files, of no family. Without any, nothing is ever verified."""
    intermediates: tuple[Path, ...] = ()
    crls: tuple[Path, ...] = ()
    revocation: Literal["hard", "soft", "off"] = "hard"
    """hard: data is required for every certificate of the path; soft: used where present; off: not looked at."""
    families: tuple[FamilySettings, ...] = ()
    store: Path | None = None
    """Directory of what `gateway trust add` took in; without it `trust` in the spool's directory."""
    fetch: FetchSettings = FetchSettings()

    @model_validator(mode="after")
    def _each_once(self) -> TrustSettings:
        names = [each.name for each in self.families]
        for name in sorted({each for each in names if names.count(each) > 1}):
            raise ValueError(f"family {name!r} is defined twice")
        return self


class BoundarySettings(Strict):
    """The mail server in front of us whose SPF, DKIM and DMARC results are believed."""

    authserv_id: Domain
    """Its name in Authentication-Results; it must remove foreign fields that bear it (RFC 8601 5)."""
    clients: Annotated[tuple[Network, ...], Field(min_length=1)]
    """Where it connects from: the same field on mail from anywhere else is a forgery, and removed."""


class VerifySettings(Strict):
    """How signatures are judged beyond what is never negotiable."""

    same_agency: Literal["lesser", "mismatch"] = "lesser"
    """Signed with another mailbox of the author's agency, by the registry: a lesser, differently worded state."""
    successor: Literal["lesser", "mismatch"] = "lesser"
    """The certificate names the same mailbox in a domain that took over the author's, or the other way round."""
    delegate: Literal["lesser", "mismatch"] = "mismatch"
    """The certificate names the mailbox of the Sender field."""
    sha1: Literal["lesser", "not_trusted"] = "not_trusted"
    """Old mail signed over SHA-1: never verified; lesser only says that the rest of it holds."""
    replay_days: Annotated[int, Field(ge=0, le=3650)] = 400
    """Days for which signatures and certificates seen are remembered; 0 remembers nothing, and finds no replays."""
    replay_most: Annotated[int, Field(ge=0)] = 3_000_000
    """Signatures at most, about 150 octets each."""
    boundary: BoundarySettings | None = None
    workers: Annotated[int, Field(ge=1, le=32)] = 2
    """Processes in which paths, hostile CMS and large messages are judged."""
    time_limit: Annotated[float, Field(gt=0, le=30)] = 2.0
    """Seconds of processor time for one message; beyond it the process is killed and the verdict is "unreadable"."""
    memory_limit: Annotated[int, Field(ge=128 * MEBI)] = 512 * MEBI
    """Octets of address space that one such process may take on top of what it starts with."""


class SealKey(Strict):
    """A key by which our own marks are known from copies of them."""

    id: Name
    key: SecretReference
    """At least 32 octets of secret text; the first key listed seals, all of them are believed."""


class TagSettings(Strict):
    """What recipients see."""

    authserv_id: Domain
    """Our name in Authentication-Results (RFC 8601 2.5); foreign fields that bear it are removed."""
    subject: Literal["off", "on", "bad_only"] = "on"
    seals: tuple[SealKey, ...] = ()
    """Without any, tags carry no seal."""
