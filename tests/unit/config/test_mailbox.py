"""Settings of mailboxes: the login that reads everybody's mail is named carefully, or not at all."""

from __future__ import annotations

from typing import Any, Final

import pytest
from pydantic import ValidationError

from gateway.config.mailbox import MailboxSettings
from gateway.core.address import Mailbox
from gateway.core.errors import ServiceError

GOOD: Final[dict[str, Any]] = {
    "imap": "imap.songlam.example:993",
    "login": "gateway",
    "password": "file:/etc/gateway/imap-master",
}


def test_the_smallest_settings_are_enough() -> None:
    """Three keys open a mail store; nothing is watched or filed without being named."""
    settings = MailboxSettings(**GOOD)
    assert (settings.watch, settings.sent, settings.tls) == ((), None, "tls")


@pytest.mark.parametrize("imap", ["imap.songlam.example:143", "10.0.0.5:143", "[2001:db8::1]:143", "127.example:143"])
def test_the_password_never_travels_in_the_clear(imap: str) -> None:
    """Without TLS there is no way to a server on another machine."""
    with pytest.raises(ValidationError, match="loopback"):
        MailboxSettings(**GOOD | {"imap": imap, "tls": "none"})


@pytest.mark.parametrize("imap", ["127.0.0.1:143", "[::1]:143", "localhost:143"])
def test_loopback_needs_no_tls(imap: str) -> None:
    """What stays on this machine may go without."""
    assert MailboxSettings(**GOOD | {"imap": imap, "tls": "none"}).imap == imap


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("login", "gate\r\nway"),
        ("login", ""),
        ("login", "cổng"),
        ("password", "chi-de-thu"),
        ("separator", ""),
        ("liveness", 1800),
        ("sent", {"authors": []}),
        ("sent", {"authors": ["@songlam.example"], "folder": 'Sent" {3+}'}),
        ("sent", {"authors": ["@songlam.example"], "folder": "Sent\r\nx"}),
        ("watch", ["*@songlam.example"]),
    ],
)
def test_what_would_end_in_a_command_is_checked(key: str, value: object) -> None:
    """No setting can add a command of its own to an IMAP session, name everybody, or hold a password."""
    with pytest.raises(ValidationError):
        MailboxSettings(**GOOD | {key: value})


def test_no_mailbox_names_another_user() -> None:
    """An author's address could hold the separator: it must not choose whose rights are used."""
    settings = MailboxSettings(**GOOD)
    assert settings.login_for(Mailbox.parse("lan@tinh.example")) == "lan@tinh.example*gateway"
    with pytest.raises(ServiceError):
        settings.login_for(Mailbox.parse("lan*root@tinh.example"))
