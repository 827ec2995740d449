"""What every section of the settings is made of: the strict base, and texts that are checked as they are read.

A text is compared later in the form that is returned here, so two spellings of one address or domain must become one.
"""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict

from gateway.core.address import Mailbox, domain_key

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_MAX_PORT: Final = 65535


def _name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("a name has lower-case letters, digits, - and _ only, at most 63")
    return text


def _domain(text: str) -> str:
    try:
        return domain_key(Mailbox.parse(f"x@{text}").domain)
    except ValueError:
        raise ValueError("not a mail domain") from None


def _mailbox(text: str) -> str:
    if text.startswith("*@"):
        raise ValueError("not a mailbox: name each one")
    try:
        return Mailbox.parse(text).key
    except ValueError:
        raise ValueError("not a mailbox") from None


def _author(text: str) -> str:
    """Return the key of a mailbox, or of "@domain"."""
    if text.startswith("@"):
        return f"@{_domain(text[1:])}"
    if text.startswith("*@"):
        raise ValueError("write @domain for every mailbox of a domain")
    try:
        return Mailbox.parse(text).key
    except ValueError:
        raise ValueError("not a mailbox and not @domain") from None


def _destination(text: str) -> str:
    """Return the key of a domain, or "*"."""
    return text if text == "*" else _domain(text)


def _domains(text: str) -> str:
    """Return the key of a domain, or "*." and the key of what the domains stand below."""
    return f"*.{_domain(text[2:])}" if text.startswith("*.") else _domain(text)


def _web_host(text: str) -> str:
    """Check HOST or *.HOST, with or without :PORT; lower case as it is compared."""
    match = re.fullmatch(r"((?:\*\.)?(?:[a-z0-9_-]+\.)*[a-z0-9_-]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?", text.lower())
    if match is None or (match[2] is not None and not 0 < int(match[2]) <= _MAX_PORT):
        raise ValueError("write HOST, *.HOST or HOST:PORT: no http://, no path")
    return text.lower()


def _client_name(text: str) -> str:
    """Check sha256:FINGERPRINT, dns:HOST or email:MAILBOX."""
    kind, _, name = text.partition(":")
    if kind == "sha256" and re.fullmatch(r"[0-9a-f]{64}", digits := name.replace(":", "").lower()):
        return f"sha256:{digits}"
    if kind == "dns":
        return f"dns:{_domain(name)}"
    if kind == "email":
        return f"email:{_mailbox(name)}"
    raise ValueError("write sha256:FINGERPRINT, dns:HOST or email:MAILBOX, as they stand in the client's certificate")


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise ValueError("not a network: write 10.0.0.5 or 10.0.0.0/24, no bits set behind the prefix") from None


def _socket(text: str) -> str:
    """Check HOST:PORT or [IPV6]:PORT."""
    match = re.fullmatch(r"(?:\[[0-9a-fA-F:.]+\]|[^:/\s\[\]]+):([0-9]{1,5})", text)
    if match is None or int(match[1]) > _MAX_PORT:
        raise ValueError("write HOST:PORT or [IPV6]:PORT")
    return text


def _endpoint(text: str) -> str:
    """Check HOST:PORT, [IPV6]:PORT or unix:/PATH."""
    if re.fullmatch(r"unix:/[^\x00]+", text):
        return text
    try:
        return _socket(text)
    except ValueError:
        raise ValueError("write HOST:PORT, [IPV6]:PORT or unix:/PATH") from None


def _secret(text: str) -> str:
    if re.fullmatch(r"(file:/.+|env:[A-Za-z_][A-Za-z0-9_]*|credential:[A-Za-z0-9._-]+)", text) is None:
        raise ValueError("a secret is given by reference: file:/PATH, env:NAME or credential:NAME")
    return text


Name = Annotated[str, AfterValidator(_name)]
Domain = Annotated[str, AfterValidator(_domain)]
MailboxKey = Annotated[str, AfterValidator(_mailbox)]
AuthorPattern = Annotated[str, AfterValidator(_author)]
ClientName = Annotated[str, AfterValidator(_client_name)]
Domains = Annotated[str, AfterValidator(_domains)]
WebHost = Annotated[str, AfterValidator(_web_host)]
Destination = Annotated[str, AfterValidator(_destination)]
Network = Annotated[str, AfterValidator(_network)]
Socket = Annotated[str, AfterValidator(_socket)]
Endpoint = Annotated[str, AfterValidator(_endpoint)]
SecretReference = Annotated[str, AfterValidator(_secret)]
MEBI: Final = 1024 * 1024


class Strict(BaseModel):
    """Base of every section: frozen, no unknown keys, no silent conversions of text into numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False, str_strip_whitespace=False)
