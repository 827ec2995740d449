"""From nothing to a connection that takes mail; what goes wrong here is the site's trouble."""

from __future__ import annotations

import asyncio
import base64
from typing import TYPE_CHECKING, Any

import pytest

from gateway.config.model import Hop, HopLogin
from gateway.core.errors import SetupError
from gateway.ports import HopError, HopTrouble
from gateway.relay.greeting import Greeter
from gateway.relay.replies import Offers
from support.hops import KEYWORDS, Drop, FakeHop, Hang, Raw, tls_identity
from support.waiting import until
from support.way_out import OURS, deliver, path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from gateway.relay.hop import SmtpHop

    HopTo = Callable[..., SmtpHop]


async def refused(hop: SmtpHop) -> str:
    """Begin where that must fail as the site's trouble; return the words for the log."""
    with pytest.raises(HopError) as caught:
        await hop.begin()
    assert caught.value.trouble is HopTrouble.SITE
    return caught.value.detail


@pytest.mark.parametrize("stage", ["BANNER", "EHLO"])
@pytest.mark.parametrize(
    "answer", ["554 5.3.2 no", "421 4.3.2 closing", "354 go", Drop(), Raw(b"hello\r\n"), Raw(b"x" * 5000), Hang()]
)
@pytest.mark.parametrize("lmtp", [False, True])
async def test_trouble_in_the_greetings_is_the_sites(
    hop_to: HopTo, stage: str, answer: str | Drop | Raw | Hang, *, lmtp: bool
) -> None:
    """Even a 5xx there says nothing about any message (row 7); the connection is closed and nothing waits for ever."""
    async with FakeHop(answers={stage: answer}, lmtp=lmtp) as fake:
        await refused(hop_to(fake, connect_timeout=0.2))
        fake.release()
        await until(lambda: fake.open == 0)


async def test_nobody_listens(hop_to: HopTo, tmp_path: Path) -> None:
    """Neither on the port nor on the socket."""
    assert "cannot connect" in await refused(hop_to("127.0.0.1:1", f"unix:{tmp_path}/none"))


async def test_an_endless_greeting_is_bounded(hop_to: HopTo) -> None:
    """A reply of ten thousand lines is none."""
    async with FakeHop(answers={"EHLO": Raw(b"250-x\r\n" * 10_000)}) as fake:
        assert "too many lines" in await refused(hop_to(fake))


async def test_helo_where_ehlo_is_unknown(hop_to: HopTo) -> None:
    """An old SMTP hop is greeted with HELO and offers nothing (RFC 5321 3.2); no TLS then."""
    async with FakeHop(answers={"EHLO": "502 what"}) as fake:
        hop = hop_to(fake)
        await deliver(hop)
        assert fake.commands[:2] == [f"EHLO {OURS}", f"HELO {OURS}"]
        assert await hop.known_limits() == Offers()
        assert "TLS is required" in await refused(hop_to(fake, tls="encrypt"))
        fake.answers["HELO"] = "550 no"
        assert "HELO: 550" in await refused(hop_to(fake))


@pytest.mark.parametrize("answers", [{"BANNER": f"220 {OURS.upper()}. ESMTP"}, {"EHLO": f"250 {OURS} at your service"}])
async def test_our_own_name_is_a_loop(hop_to: HopTo, answers: dict[str, str]) -> None:
    """A hop that greets with our name would send the mail round (row 7)."""
    async with FakeHop(answers=answers) as fake:
        assert "loops back" in await refused(hop_to(fake))
    async with FakeHop(answers=answers, lmtp=True) as store:
        await deliver(hop_to(store))  # we serve no LMTP: this is a mail store on the same machine


async def test_what_is_offered_is_known(hop_to: HopTo) -> None:
    """SIZE, 8BITMIME, SMTPUTF8, DSN; SIZE 0 means no limit (RFC 1870 4)."""
    for keyword, size in (("SIZE 1000", 1000), ("SIZE 0", None), ("SIZE", None), ("size 7", 7), ("SIZE ٣", None)):
        async with FakeHop(keywords=(keyword, "dsn")) as fake:
            limits = await hop_to(fake).known_limits()
            assert limits is not None
            assert (limits.size, limits.dsn, limits.eight_bit, limits.smtputf8) == (size, True, False, False)


@pytest.mark.parametrize(
    ("mode", "offered", "encrypted"),
    [
        ("none", True, False),
        ("may", True, True),
        ("may", False, False),
        ("encrypt", True, True),
        ("encrypt", False, None),
        ("verify", True, True),
        ("verify", False, None),
    ],
)
async def test_tls_as_configured(
    hop_to: HopTo, tmp_path: Path, mode: str, *, offered: bool, encrypted: bool | None
) -> None:
    """None never, may where offered, encrypt and verify always: mail goes out so or not at all."""
    context, ca = tls_identity(tmp_path)
    async with FakeHop(tls=context if offered else None) as fake:
        hop = hop_to(fake, tls=mode, tls_ca=ca, tls_name="fake.example")
        if encrypted is None:
            await refused(hop)
            assert fake.seen("MAIL") == 0
            return
        transaction = await hop.begin()
        assert transaction._connection.wire.encrypted == encrypted
        await transaction.abandon()
        await deliver(hop)
        assert fake.seen("EHLO") == (2 if encrypted else 1)
        assert not fake.violations


async def test_verify_refuses_another_name_and_another_authority(hop_to: HopTo, tmp_path: Path) -> None:
    """A certificate that does not verify is trouble; no mail, no password over such a connection."""
    context, ca = tls_identity(tmp_path)
    async with FakeHop(tls=context) as fake:
        assert "handshake failed" in await refused(hop_to(fake, tls="verify", tls_ca=ca, tls_name="other.example"))
        assert "handshake failed" in await refused(hop_to(fake, tls="verify", tls_ca=ca))
        assert "handshake failed" in await refused(hop_to(fake, tls="verify", tls_name="fake.example"))
        assert fake.seen("MAIL") == 0


@pytest.mark.parametrize(
    "answer", ["454 4.7.0 not now", "554 5.7.0 no", Drop(), Raw(b"220 go\r\n250 injected\r\n"), Hang()]
)
async def test_starttls_trouble_is_the_sites(hop_to: HopTo, tmp_path: Path, answer: str | Drop | Raw | Hang) -> None:
    """Refused, dropped, silent, or with replies slipped in before the handshake (CVE-2011-0411)."""
    context, _ = tls_identity(tmp_path)
    async with FakeHop(tls=context, answers={"STARTTLS": answer}) as fake:
        await refused(hop_to(fake, tls="may", connect_timeout=0.3))
        assert fake.seen("MAIL") == 0
        fake.release()


SECRET = "bí mật"


def login(tmp_path: Path, password: str = SECRET) -> dict[str, Any]:
    """Return settings with a login whose password stands in a private file."""
    file = tmp_path / "password"
    file.touch(mode=0o600)
    file.write_text(password)
    return {"tls": "encrypt", "login": HopLogin(user="cổng", password=f"file:{file}")}


async def test_login_over_tls(hop_to: HopTo, tmp_path: Path) -> None:
    """AUTH PLAIN with its response in one line, after the second EHLO (RFC 4954 4, RFC 4616)."""
    context, _ = tls_identity(tmp_path)
    async with FakeHop(tls=context, keywords=(*KEYWORDS, "AUTH LOGIN PLAIN")) as fake:
        await deliver(hop_to(fake, **login(tmp_path)))
        response = base64.b64encode("\0cổng\0bí mật".encode()).decode()
        assert fake.commands[:5] == [
            f"EHLO {OURS}",
            "STARTTLS",
            f"EHLO {OURS}",
            f"AUTH PLAIN {response}",
            fake.commands[4],
        ]


@pytest.mark.parametrize("answer", ["535 5.7.8 no", "334 ", "454 4.7.0 later", Drop()])
async def test_a_failed_login_is_the_sites_trouble_and_tells_nothing(
    hop_to: HopTo, tmp_path: Path, answer: str | Drop
) -> None:
    """Whatever the hop answers; the password is in no error."""
    context, _ = tls_identity(tmp_path)
    async with FakeHop(tls=context, keywords=("AUTH PLAIN",), answers={"AUTH": answer}) as fake:
        detail = await refused(hop_to(fake, **login(tmp_path, "mat-khau")))
        assert "mat-khau" not in detail
        assert base64.b64encode("\0cổng\0mat-khau".encode()).decode() not in detail


async def test_no_login_where_plain_is_not_offered(hop_to: HopTo, tmp_path: Path) -> None:
    """Without AUTH PLAIN in the greeting no password is sent."""
    context, _ = tls_identity(tmp_path)
    async with FakeHop(tls=context, keywords=("AUTH LOGIN",)) as fake:
        await refused(hop_to(fake, **login(tmp_path)))
        assert fake.seen("AUTH") == 0


def test_mistakes_of_the_set_up_are_found_at_once(tmp_path: Path) -> None:
    """An unreadable CA file, a name that is missing, a password that is not there."""

    def greeter(**settings: Any) -> None:
        Greeter(Hop(name="next", protocol="smtp", **{"addresses": ("a.example:25",), **settings}), OURS)  # type: ignore[arg-type]

    with pytest.raises(SetupError, match="tls_ca"):
        greeter(tls="verify", tls_ca=tmp_path / "none.pem")
    (tmp_path / "empty.pem").touch()
    with pytest.raises(SetupError, match="tls_ca"):
        greeter(tls="verify", tls_ca=tmp_path / "empty.pem")
    with pytest.raises(SetupError, match="tls_name"):
        greeter(tls="verify", addresses=("unix:/run/lmtp",))
    with pytest.raises(SetupError, match="not set"):
        greeter(tls="encrypt", login=HopLogin(user="a", password="env:NO_SUCH_VARIABLE"))
    assert "bí mật" not in repr(
        vars(Greeter(Hop(name="a", protocol="smtp", addresses=("a:1",), **login(tmp_path)), OURS))
    )


async def test_the_first_host_that_works_is_used(hop_to: HopTo) -> None:
    """Hosts are tried in order, all of them before it is the site's trouble; one in trouble comes last for a while."""
    async with FakeHop(answers={"BANNER": "554 5.3.2 no"}) as bad, FakeHop() as good:
        hop = hop_to(bad, "127.0.0.1:1", good)
        await deliver(hop)
        first, second = await hop.begin(), await hop.begin()
        assert (bad.connections, good.connections) == (1, 2)
        await first.abandon()
        await second.abandon()
        detail = await refused(hop_to(bad, "127.0.0.1:1"))
        assert "554" in detail
        assert "cannot connect" in detail


async def test_a_cancelled_greeting_leaves_nothing_open(hop_to: HopTo) -> None:
    """The caller's patience is over: connection closed, place in the pool free."""
    async with FakeHop(answers={"EHLO": Hang()}) as fake:
        hop = hop_to(fake, max_connections=1)
        task = asyncio.create_task(hop.begin())
        await until(lambda: fake.seen("EHLO") == 1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        fake.answers["EHLO"] = "250 fake.example"
        fake.release()
        await until(lambda: fake.open == 0)
        transaction = await hop.begin()
        assert [each.code for each in await transaction.envelope(path())] == [250]
        await transaction.abandon()
