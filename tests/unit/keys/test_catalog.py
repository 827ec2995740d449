"""The catalog: who may sign for whom, when, and what is refused before anything starts."""

from __future__ import annotations

import copy
import datetime as dt
import pickle
import re
import subprocess
import time
import timeit
from typing import TYPE_CHECKING, Any, Final

import pytest
import structlog
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID

from gateway.cms.algorithms import Algorithm, Scheme, verify_raw
from gateway.cms.verify import check_signer, open_signed
from gateway.config.keys import KeyFile
from gateway.core.address import Mailbox
from gateway.core.errors import SetupError
from gateway.core.message import Message
from gateway.demo.authority import Credential, name, pem, shared_key
from gateway.keys import catalog as catalog_module
from gateway.keys.catalog import Catalog, load_catalog
from gateway.keys.revocation import RevocationWatch
from gateway.keys.suspensions import Suspensions, append
from gateway.pki.certificate import Certificate
from gateway.pki.path import TrustAnchors
from gateway.ports import KeyCatalog, KeyKind, SigningKey
from support.letters import LAN, NOW, authority, binh, lan

if TYPE_CHECKING:
    from pathlib import Path

PASSPHRASE: Final = b"only-for-tests"
AUTHOR: Final = Mailbox.parse(LAN)
DAY: Final = dt.timedelta(days=1)


def setting(tmp: Path, label: str, credential: Credential, **more: Any) -> KeyFile:
    """Return the setting for a credential, written as PEM: that opens faster than PKCS#12."""
    files = {
        f"{label}.key": credential.key_pem(PASSPHRASE),
        f"{label}.pem": credential.chain_pem(),
        "secret": PASSPHRASE,
    }
    for file, octets in files.items():
        (tmp / file).write_bytes(octets)
        (tmp / file).chmod(0o600)
    given = {"kind": "personal", "passphrase": f"file:{tmp}/secret", **more}
    return KeyFile(label=label, key=tmp / f"{label}.key", certificate=tmp / f"{label}.pem", **given)


def issued(index: int, **more: Any) -> Credential:
    """Return a credential of the author with a P-256 key of its own."""
    return authority().issue("Hoàng Thị Lan", LAN, key=shared_key("p256", 100 + index), **more)


def mistakes(*files: KeyFile, now: dt.datetime = NOW) -> tuple[str, ...]:
    """Return the lines in which keys are refused."""
    with pytest.raises(SetupError) as caught:
        load_catalog(files, now=now)
    return caught.value.mistakes


def by_ca(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, *extensions: x509.ExtensionType) -> Credential:
    """Return a leaf of the author with these extensions only, besides the mailbox."""
    issuer = x509.load_der_x509_certificate(authority().intermediate)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name(CN="Hoàng Thị Lan"))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(77)
        .not_valid_before(NOW - DAY)
        .not_valid_after(NOW + 365 * DAY)
        .add_extension(x509.SubjectAlternativeName([x509.RFC822Name(LAN)]), critical=False)
    )
    for each in extensions:
        builder = builder.add_extension(each, critical=True)
    certificate = builder.sign(authority()._issuer_key, hashes.SHA256())
    return Credential(key, certificate.public_bytes(Encoding.DER), (authority().intermediate,))


def under_sha1(tmp: Path) -> Credential:
    """Return a leaf that the authority signed over SHA-1, as the first generation is; only OpenSSL makes them."""
    key = shared_key("p256", 62)
    ca_key = Credential(authority()._issuer_key, b"", ()).key_pem()
    for file, octets in {
        "leaf.key": Credential(key, b"", ()).key_pem(),
        "ca.key": ca_key,
        "ca.pem": pem(authority().intermediate),
        "ext": f"subjectAltName=email:{LAN}\n".encode(),
    }.items():
        (tmp / file).write_bytes(octets)
    for command in (
        "openssl req -new -key leaf.key -subj /CN=Lan -out leaf.csr",
        "openssl x509 -req -sha1 -in leaf.csr -CA ca.pem -CAkey ca.key -set_serial 79 -extfile ext -out leaf.pem",
    ):
        subprocess.run(command.split(), cwd=tmp, check=True, capture_output=True, timeout=30)
    leaf = x509.load_pem_x509_certificate((tmp / "leaf.pem").read_bytes())
    return Credential(key, leaf.public_bytes(Encoding.DER), (authority().intermediate,))


@pytest.mark.parametrize(
    ("shape", "more", "algorithm"),
    [
        ("rsa2048", {}, Algorithm("rsa", "sha256")),
        ("rsa2048", {"scheme": "pss", "digest": "sha512"}, Algorithm("pss", "sha512", 64)),
        ("p256", {}, Algorithm("ecdsa", "sha256")),
        ("p384", {}, Algorithm("ecdsa", "sha384")),
    ],
)
async def test_a_key_signs_by_the_scheme_that_fits_or_is_set(
    shape: str, more: dict[str, str], algorithm: Algorithm, tmp_path: Path
) -> None:
    """The value verifies with the certificate's key, and the template says the same algorithm."""
    catalog = load_catalog([setting(tmp_path, "lan", lan(shape), **more)], now=NOW)
    key = catalog.by_label("lan")
    assert key is not None
    to_be_signed = key.template.to_be_signed(Message.of(b"x").digest(key.template.digest), NOW)
    value = await key.sign(to_be_signed)
    assert key.certificate.public_key is not None
    assert verify_raw(key.certificate.public_key, value, to_be_signed, algorithm=algorithm)
    signer = open_signed(key.template.finish(to_be_signed, value)).signers[0]
    digest = Message.of(b"x").digest(key.template.digest)
    assert check_signer(signer, content_digest=digest, certificate=key.certificate) is None


def test_addresses_are_the_certificates_and_those_added(tmp_path: Path) -> None:
    """A key signs for the mailboxes its certificate names, folded as mailboxes are compared, and for those set."""
    credential = authority().issue(
        "SỞ Y TẾ", "SoYTe@SongLam.example", key=shared_key("p256", 50), subject_mailbox="cu@songlam.example"
    )
    file = setting(tmp_path, "soyte", credential, kind="organization", extra_addresses=("Van.Thu@songlam.example",))
    key = load_catalog([file], now=NOW).by_label("soyte")
    assert key is not None
    assert key.addresses == {"soyte@songlam.example", "cu@songlam.example", "van.thu@songlam.example"}


def test_the_author_finds_the_key_of_the_kind_asked_for(tmp_path: Path) -> None:
    """Kinds are never mixed, and nobody signs for a mailbox that is not named."""
    catalog = load_catalog([setting(tmp_path, "lan", issued(1))], now=NOW)
    found = catalog.for_author(Mailbox.parse("HOANG.LAN@SoYTe.songlam.example"), KeyKind.PERSONAL)
    assert found is not None
    assert found.label == "lan"
    assert catalog.for_author(AUTHOR, KeyKind.ORGANIZATION) is None
    assert catalog.for_author(Mailbox.parse("khac@soyte.songlam.example"), KeyKind.PERSONAL) is None
    assert catalog.by_label("khac") is None


def test_of_several_keys_one_in_date_goes_first_then_the_latest_end(tmp_path: Path) -> None:
    """An expired key, and one that begins tomorrow, stand behind those that sign today, whatever their end."""
    files = [
        setting(tmp_path, "expired", issued(1, not_before=NOW - 99 * DAY, not_after=NOW - DAY)),
        setting(tmp_path, "short", issued(2, not_after=NOW + 100 * DAY)),
        setting(tmp_path, "long", issued(3, not_after=NOW + 200 * DAY)),
        setting(tmp_path, "tomorrow", issued(4, not_before=NOW + DAY, not_after=NOW + 900 * DAY)),
    ]
    found = load_catalog(files, now=NOW).for_author(AUTHOR, KeyKind.PERSONAL)
    assert found is not None
    assert found.label == "long"
    later = load_catalog(files, now=NOW + 2 * DAY).for_author(AUTHOR, KeyKind.PERSONAL)
    assert later is not None
    assert later.label == "tomorrow"


def test_the_choice_follows_the_time_without_a_reload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A renewal loaded before its first day takes over on that day."""
    files = [
        setting(tmp_path, "old", issued(5, not_after=NOW + 10 * DAY)),
        setting(tmp_path, "new", issued(6, not_before=NOW + 5 * DAY, not_after=NOW + 900 * DAY)),
    ]
    catalog = load_catalog(files, now=NOW)
    assert catalog.for_author(AUTHOR, KeyKind.PERSONAL) is catalog.by_label("old")
    begin = time.time()
    monkeypatch.setattr(time, "time", lambda: begin + 6 * 86400)
    assert catalog.for_author(AUTHOR, KeyKind.PERSONAL) is catalog.by_label("new")


def test_an_expired_key_is_loaded_as_unfit_and_told_of(tmp_path: Path) -> None:
    """One key past its end must not stop a gateway with five hundred others; it does not sign either."""
    files = [
        setting(tmp_path, "expired", issued(1, not_before=NOW - 99 * DAY, not_after=NOW - DAY)),
        setting(tmp_path, "early", issued(2, not_before=NOW + DAY)),
        setting(tmp_path, "good", issued(3)),
    ]
    with structlog.testing.capture_logs() as logs:
        catalog = load_catalog(files, now=NOW)
    assert [(each["label"], each["reason"]) for each in logs] == [("expired", "expired"), ("early", "not_yet_valid")]
    faults = {label: catalog.unfit(catalog.by_label(label), NOW) for label in ("expired", "early", "good")}  # type: ignore[arg-type]
    assert faults == {"expired": "expired", "early": "not_yet_valid", "good": None}
    lines = catalog.findings(NOW)
    assert len(lines) == 2
    assert re.fullmatch(
        r".*/expired\.pem: may not sign: its certificate expired on 2026-11-23T08.* \(key 'expired'\)", lines[0]
    )
    assert re.fullmatch(
        r".*/early\.pem: may not sign before 2026-11-25T08.*\(not_yet_valid\) \(key 'early'\)", lines[1]
    )


def test_ends_are_exact(tmp_path: Path) -> None:
    """A certificate is good up to and including its last second."""
    catalog = load_catalog([setting(tmp_path, "lan", issued(1, not_before=NOW - DAY, not_after=NOW + DAY))], now=NOW)
    key = catalog.by_label("lan")
    assert key is not None
    second = dt.timedelta(seconds=1)
    at = [NOW - DAY - second, NOW - DAY, NOW + DAY, NOW + DAY + second]
    assert [catalog.unfit(key, each) for each in at] == ["not_yet_valid", None, None, "expired"]


def test_an_expired_issuer_makes_the_key_unfit(tmp_path: Path) -> None:
    """Nobody verifies under an issuer that has ended, however fresh the leaf is."""
    file = setting(tmp_path, "lan", issued(1, not_after=NOW + 40000 * DAY))
    catalog = load_catalog([file], now=NOW)
    key = catalog.by_label("lan")
    assert key is not None
    assert catalog.unfit(key, NOW + 23 * 365 * DAY) == "issuer_expired"
    assert catalog.unfit(key, NOW - 9 * 365 * DAY) == "not_yet_valid"
    assert "its issuer C=VN" in catalog.findings(NOW + 23 * 365 * DAY)[0]


def test_keys_that_end_within_90_days_are_found(tmp_path: Path) -> None:
    """Renewal has to be asked for while 60 days are left."""
    catalog = load_catalog([setting(tmp_path, "lan", issued(1, not_after=NOW + 100 * DAY))], now=NOW)
    assert catalog.findings(NOW) == ()
    assert catalog.findings(NOW + 9 * DAY) == ()
    assert "expires in 90 days" in catalog.findings(NOW + 10 * DAY)[0]
    assert "expires in 0 days" in catalog.findings(NOW + 100 * DAY)[0]


def test_a_key_of_the_catalog_before_a_reload_is_removed(tmp_path: Path) -> None:
    """Taking a key out of the settings and reloading stops it, also for whoever still holds it."""
    credential = issued(1)
    old = load_catalog([setting(tmp_path, "lan", credential)], now=NOW)
    key = old.by_label("lan")
    assert key is not None
    assert load_catalog([], now=NOW).unfit(key, NOW) == "removed"
    assert load_catalog([setting(tmp_path, "lan", issued(2))], now=NOW).unfit(key, NOW) == "removed"
    assert load_catalog([setting(tmp_path, "lan", credential)], now=NOW).unfit(key, NOW) is None


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"usages": [ExtendedKeyUsageOID.CLIENT_AUTH]}, "emailProtection"),
        ({"mailbox": None}, "names no mailbox"),
    ],
)
def test_a_certificate_of_the_wrong_use_is_refused(more: dict[str, Any], words: str, tmp_path: Path) -> None:
    """What readers would call broken is a mistake at the start, not a surprise later."""
    given = {"mailbox": LAN, "key": shared_key("p256", 60), **more}
    credential = authority().issue("Hoàng Thị Lan", **given)
    (line,) = mistakes(setting(tmp_path, "lan", credential))
    assert line.startswith(f"{tmp_path}/lan.pem: ")
    assert words in line
    assert line.endswith("(key 'lan')")


def test_a_certificate_that_may_not_sign_is_refused(tmp_path: Path) -> None:
    """A key usage for encryption only is no signer's."""
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=True,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    credential = by_ca(shared_key("p256", 61), usage)
    (line,) = mistakes(setting(tmp_path, "lan", credential))
    assert "not for signatures" in line


def test_weak_keys_and_digests_are_refused(tmp_path: Path) -> None:
    """RSA below 2048 bits, curves we do not sign with, SHA-1 under a certificate: none of them is ever used."""
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - to be refused
    assert "too weak" in mistakes(setting(tmp_path, "weak", by_ca(weak)))[0]
    assert "SHA-1" in mistakes(setting(tmp_path, "old", under_sha1(tmp_path)))[0]
    wide = authority().issue("Hoàng Thị Lan", LAN, key=shared_key("p521", 1))
    assert "not used for signing" in mistakes(setting(tmp_path, "wide", wide))[0]


def test_a_scheme_that_does_not_fit_the_key_is_refused(tmp_path: Path) -> None:
    """The settings cannot ask for what no reader takes."""
    (line,) = mistakes(setting(tmp_path, "lan", lan("p384"), digest="sha256"))
    assert "sha256 with curve secp384r1" in line
    (line,) = mistakes(setting(tmp_path, "lan", lan("p256"), scheme="pss"))
    assert "ECDSA signatures only" in line


def test_extra_addresses_are_mailboxes(tmp_path: Path) -> None:
    """A whole domain is never signed for by one key."""
    (line,) = mistakes(setting(tmp_path, "lan", issued(1), extra_addresses=("@songlam.example",)))
    assert "@songlam.example is a domain" in line


def test_two_keys_with_one_label_or_one_certificate_are_mistakes(tmp_path: Path) -> None:
    """A rule that names a label, or a reader of the record, must mean one key."""
    (tmp_path / "b").mkdir()
    credential = issued(1)
    one, same_label = setting(tmp_path, "lan", credential), setting(tmp_path / "b", "lan", issued(2))
    assert "label is used twice" in mistakes(one, same_label)[0]
    again = setting(tmp_path, "again", credential)
    assert "is the certificate of key 'lan' already" in mistakes(one, again)[0]


def test_all_mistakes_of_all_keys_come_at_once(tmp_path: Path) -> None:
    """An administrator with five hundred keys mends them in one round."""
    files = [
        setting(tmp_path, "good", issued(1)),
        setting(tmp_path, "usage", issued(2, usages=[ExtendedKeyUsageOID.CLIENT_AUTH]), digest="sha512", scheme="pss"),
        setting(tmp_path, "wrong", issued(3)).model_copy(update={"passphrase": "env:NOT_SET_ANYWHERE"}),
        setting(tmp_path, "absent", issued(4)).model_copy(update={"certificate": tmp_path / "absent-file"}),
    ]
    lines = mistakes(*files)
    assert [re.search(r"\(key '(\w+)'\)$", line)[1] for line in lines] == ["usage", "usage", "wrong", "absent"]  # type: ignore[index]


def test_a_long_wait_is_told_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of keys take a while: an administrator sees that something goes on, and how far it is."""
    files = [setting(tmp_path, f"k{number}", issued(number)) for number in range(1, 4)]
    monkeypatch.setattr(catalog_module, "TELL_EVERY", 0.0)
    with structlog.testing.capture_logs() as logs:
        load_catalog(files, now=NOW)
    assert [(each["event"], each["opened"], each["of"]) for each in logs] == [
        ("keys are being opened", count, 3) for count in (1, 2, 3)
    ]


def test_nothing_shows_or_copies_a_private_key(tmp_path: Path) -> None:
    """Neither `repr`, nor pickling, nor a copy carries a key out of the process or into a log."""
    catalog = load_catalog([setting(tmp_path, "lan", issued(1))], now=NOW)
    key = catalog.by_label("lan")
    assert repr(key) == "FileKey('lan')"
    assert repr(catalog) == "Catalog(1 keys)"
    for escape in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="stays in the process"):
            escape(key)


def test_the_first_reason_is_told(tmp_path: Path) -> None:
    """Out of date, then suspended, then revoked; a catalog that is given no guard asks nobody."""
    credential = issued(1, not_after=NOW + 10 * DAY)
    file = setting(tmp_path, "lan", credential)
    crls = authority().revocation_lists([credential.certificate])
    trust = TrustAnchors((Certificate.load(authority().root),), (), crls)
    watch = RevocationWatch(trust, files=(), demand="soft", now=NOW)
    state = tmp_path / "state.jsonl"
    append(state, "suspend", "lan", who="ai đó", reason="thử", now=NOW)
    catalog = load_catalog([file], now=NOW, suspensions=Suspensions(state), watch=watch)
    key = catalog.by_label("lan")
    assert key is not None
    assert catalog.unfit(key, NOW + 11 * DAY) == "expired"
    assert catalog.unfit(key, NOW) == "suspended"
    assert catalog.findings(NOW)[0].endswith(
        "may not sign: suspended by ai đó at 2026-11-24T01:30:00+00:00: thử (key 'lan')"
    )
    revoked = load_catalog([file], now=NOW, suspensions=Suspensions(tmp_path / "none"), watch=watch)
    assert revoked.unfit(key, NOW) == "revoked"
    assert "may not sign: revoked" in revoked.findings(NOW)[0]
    assert load_catalog([file], now=NOW).unfit(key, NOW) is None


def test_a_state_nobody_can_read_is_found(tmp_path: Path) -> None:
    """Every key is suspended, and the check before a start says why in one line."""
    state = tmp_path / "state.jsonl"
    state.write_text("?\n", encoding="utf-8")
    state.chmod(0o600)
    catalog = load_catalog([setting(tmp_path, "lan", issued(1))], now=NOW, suspensions=Suspensions(state))
    key = catalog.by_label("lan")
    assert key is not None
    assert catalog.unfit(key, NOW) == "suspended"
    (line,) = catalog.findings(NOW)
    assert line == f"{tmp_path}/state.jsonl:1: is not a line of this file: every key is suspended"


def test_asking_costs_less_than_five_microseconds(tmp_path: Path) -> None:
    """The questions before every signature must not be what signing costs."""
    trust = TrustAnchors((Certificate.load(authority().root),), (), authority().revocation_lists())
    watch = RevocationWatch(trust, files=(), demand="soft", now=NOW)
    file = setting(tmp_path, "lan", issued(1))
    catalog = load_catalog([file], now=NOW, suspensions=Suspensions(tmp_path / "none"), watch=watch)
    key = catalog.by_label("lan")
    assert key is not None
    fastest = min(timeit.repeat(lambda: catalog.unfit(key, NOW), number=1000, repeat=20)) / 1000
    assert fastest < 5e-6


def test_the_ports_promises_are_kept(tmp_path: Path) -> None:
    """Catalog and key are what the rooms around them expect."""
    catalog: KeyCatalog = load_catalog([setting(tmp_path, "binh", binh())], now=NOW)
    key: SigningKey | None = catalog.by_label("binh")
    assert isinstance(catalog, Catalog)
    assert key is not None
    assert key.template.scheme is Scheme.ECDSA
    assert pem(key.certificate.der) == pem(binh().certificate)
