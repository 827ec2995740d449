"""What administrators copy: each file in policies/ and config/ loads, says what is true, and does what it says."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import pytest
from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from gateway.config.load import load_settings, parse_settings
from gateway.config.model import ListenerKind, Settings
from gateway.core.address import NULL_PATH, Mailbox
from gateway.core.contents import Attachment, Contents, Marking, Wish
from gateway.core.decision import (
    Deliver,
    IfUnable,
    InboundDecision,
    KeyChoice,
    OutboundDecision,
    PassUnchanged,
    Quarantine,
    Refuse,
    Sign,
)
from gateway.core.verdict import ChainState, Invalid, Judgment, SignatureState, Unsigned, Verdict
from gateway.policy.engine import rule_inbound, rule_outbound
from gateway.policy.model import Facts, Policy
from gateway.policy.schema import AgencyFile, load_policy
from gateway.smime.classify import Form, Traits
from gateway.smtp.auth.table import LoginTable
from gateway.yamltext import Items, Place, Table, plain, read_yaml

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gateway.core.verdict import Signer
    from gateway.yamltext import Document, Node

TOP = Path(__file__).parents[2]
CONFIG = TOP / "config"
OPTIONAL = re.compile(r"(?m)^( *(?:- )?)#(?=(?:- )?[a-z0-9_]+:)")
SAID = re.compile(r"# (default: |required|both required)")
OFFICER = Mailbox.parse("lan.hoang@songlam.example")
NOON = dt.datetime(2026, 3, 4, 5, 0, tzinfo=dt.UTC)
COLLEAGUE = Mailbox.parse("mai@songlam.example")
CITIZEN = Mailbox.parse("ai.do@congdan.example")


class Province:
    """Who is whose: a department with a domain of its own, and our own domain."""

    digest = "province"

    def knows(self, agency: str) -> bool:
        return agency == "so-y-te"

    def agency_of(self, mailbox: Mailbox) -> str | None:
        return "so-y-te" if mailbox.domain == "soyte.songlam.example" else None

    def agency_of_signer(self, signer: Signer) -> str | None:
        return self.agency_of(Mailbox.parse(signer.san_addresses[0])) if signer.san_addresses else None

    def is_local(self, mailbox: Mailbox) -> bool:
        return mailbox.domain.endswith("songlam.example")


PROVINCE = Province()
NO_TRAITS = {
    "report": False,
    "mdn": False,
    "auto_submitted": False,
    "list_mail": False,
    "calendar": False,
    "tnef": False,
}


def complete() -> str:
    """Return the full example with every optional key turned on."""
    return OPTIONAL.sub(r"\1", (CONFIG / "gateway.yaml").read_text(encoding="utf-8"))


@pytest.mark.parametrize("file", sorted(CONFIG.glob("*.yaml")), ids=lambda file: file.name)
def test_every_configuration_loads(file: Path) -> None:
    """A shipped configuration is accepted as it is, and its policies directory is the shipped one."""
    assert load_settings(file).policies.resolve() == TOP / "policies"


def test_the_full_example_loads_with_every_option_on() -> None:
    """Whoever removes a # gets a configuration that is still right, and all kinds of listeners are shown."""
    settings = parse_settings("gateway.yaml", complete(), directory=CONFIG)
    assert {each.kind for each in settings.listeners} == set(ListenerKind)
    assert len(settings.keys) == 2


def section_of(annotation: Any) -> type[BaseModel] | None:
    """Return the section a field's type holds."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for each in get_args(annotation) if (found := section_of(each)) is not None), None)


def sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    """Yield a section and all below it."""
    yield model
    for field in model.model_fields.values():
        if (inner := section_of(field.annotation)) is not None:
            yield from sections(inner)


def keys_shown(model: type[BaseModel], node: Node) -> Iterator[tuple[type[BaseModel], str, Place]]:
    """Yield every key of the example with the section it belongs to."""
    if isinstance(node, Items):
        for each in node.nodes:
            yield from keys_shown(model, each)
    elif isinstance(node, Table):
        for entry in node.entries:
            yield model, entry.key, entry.key_place
            inner = section_of(model.model_fields[entry.key].annotation)
            if inner is not None:
                yield from keys_shown(inner, entry.node)


def said(document: Document, text: str) -> dict[tuple[type[BaseModel], str], set[str]]:
    """Return what the comment on each key's line says: "required", or the default as written."""
    lines = text.splitlines()
    found: dict[tuple[type[BaseModel], str], set[str]] = {}
    for model, key, place in keys_shown(Settings, document.root):
        comment = lines[place.line - 1].partition("  # ")[2] or lines[place.line - 1].partition(" # ")[2]
        said_here = found.setdefault((model, key), set())
        own_line = re.match(rf" *(?:- )?{key}:", lines[place.line - 1]) is not None
        if not own_line and not comment.startswith("both required"):
            continue  # a key within braces: the comment belongs to the line's first key
        if comment.startswith(("required", "both required")):
            said_here.add("required")
        elif comment.startswith("default: "):
            said_here.add(comment.removeprefix("default: ").partition(";")[0].strip())
    return found


def test_the_full_example_shows_every_key_with_its_default() -> None:
    """No key of the model is missing, and what a comment calls the default is the default."""
    text = complete()
    shown = said(read_yaml("gateway.yaml", text), text)
    wanted = {(model, key) for model in sections(Settings) for key in model.model_fields}
    assert wanted - shown.keys() == set(), "keys that the example does not show"
    for (model, key), words in shown.items():
        field = model.model_fields[key]
        if field.is_required():
            assert words == {word for word in words if word.startswith("required")}, (model.__name__, key)
            assert words, f"{model.__name__}.{key} is nowhere called required"
            continue
        default = field.default
        if isinstance(default, BaseModel):
            default = default.model_dump(exclude_defaults=True)
        default = to_jsonable_python(default)
        given = {str(word): plain(read_yaml("default", word).root) for word in words}
        assert given, f"{model.__name__}.{key} has no default in its comment"
        for word, value in given.items():
            assert value == default, f"{model.__name__}.{key}: the comment says {word}, it is {default!r}"


def test_the_full_example_is_used_up_by_the_check() -> None:
    """The check above sees a wrong default and a missing key: it is not satisfied by anything."""
    text = (
        complete().replace("# default: 500; open", "# default: 501; open").replace("max_recipients", "command_timeout")
    )
    document = read_yaml("gateway.yaml", text)
    shown = said(document, text)
    names = {(model.__name__, key): words for (model, key), words in shown.items()}
    assert names["Listener", "max_connections"] == {"501"}
    assert ("Listener", "max_recipients") not in names


def test_the_example_of_logins_is_a_logins_file(tmp_path: Path) -> None:
    """It can be copied as it is, and holds no login: a shipped password would be everybody's."""
    copy = tmp_path / "logins"
    copy.write_bytes((CONFIG / "logins.example").read_bytes())
    copy.chmod(0o640)
    assert repr(LoginTable.load(copy)) == "LoginTable(0 logins)"


# policies


@pytest.fixture(scope="module")
def policy() -> Policy:
    """The shipped policy files, read as the gateway reads them."""
    return load_policy(shipped(), directory=PROVINCE)


def shipped() -> list[tuple[str, str]]:
    """Return the policy files as (name, text)."""
    return [(file.name, file.read_text(encoding="utf-8")) for file in sorted((TOP / "policies").glob("*.yaml"))]


def outbound(policy: Policy, *, to: Mailbox = CITIZEN, **facts: Any) -> OutboundDecision:
    """Return the decision for an outbound message with some facts changed."""
    marks = {**NO_TRAITS, **facts.pop("traits", {})}
    given = {
        "author": OFFICER,
        "login": "lan.hoang",
        "listener": "submission",
        "reverse_path": OFFICER,
        "form": Form.PLAIN,
        "subject": "Báo cáo tuần",
        "size": 2000,
        "at": NOON,
        **facts,
    }
    (share,) = rule_outbound(policy, Facts.of(traits=Traits(**marks), **given), (to,))
    return share.ruling.decision


def inbound(policy: Policy, author: Mailbox | None, verdict: Verdict) -> InboundDecision:
    """Return the decision for an inbound message."""
    judgment = Judgment(
        verdict,
        ChainState.NONE,
        SignatureState.NONE,
        covers_everything_shown=False,
        headers_signed=False,
        author=author,
    )
    facts = Facts.of(
        author=author,
        login=None,
        listener="inbound",
        reverse_path=NULL_PATH,
        form=Form.PLAIN,
        traits=Traits(**NO_TRAITS),
        subject="",
        size=2000,
        at=NOON,
        judgment=judgment,
    )
    (share,) = rule_inbound(policy, facts, (OFFICER,))
    return share.ruling.decision


def test_official_mail_is_signed_or_refused(policy: Policy) -> None:
    """The shipped policy signs every plain message, whoever it is from, and never lets one out unsigned in silence."""
    wanted = Sign(KeyChoice.PERSONAL_ELSE_ORGANIZATION, IfUnable.REFUSE)
    assert outbound(policy) == wanted
    assert outbound(policy, author=Mailbox.parse("bo-phan@songlam.example"), login=None) == wanted
    assert outbound(policy, traits={"calendar": True}) == wanted
    assert outbound(policy, subject="Đổi mật khẩu, chế độ mật khẩu") == wanted
    assert outbound(policy, form=Form.CERTIFICATES_ONLY) == wanted


def test_offices_and_applications_sign_as_the_agency(policy: Policy) -> None:
    """A shared mailbox, and whatever an application sends, bears the agency's signature or none."""
    wanted = Sign(KeyChoice.ORGANIZATION, IfUnable.REFUSE)
    assert outbound(policy, author=Mailbox.parse("soyte@songlam.example")) == wanted
    assert outbound(policy, login="mot-cua") == wanted


def test_a_partner_who_cannot_take_signatures_gets_none(policy: Policy) -> None:
    """The opt-out is for its domain only."""
    assert outbound(policy, to=Mailbox.parse("a@khong-nhan-chu-ky.example")) == PassUnchanged()
    assert isinstance(outbound(policy, to=Mailbox.parse("a@xa.khong-nhan-chu-ky.example")), Sign)


def test_a_sender_declines_only_where_the_rule_says_so(policy: Policy) -> None:
    """A plain letter to the outside may go unsigned by wish; nothing official, with a file, or to an office does."""
    file = Contents((Attachment("don.pdf", "application/pdf", 9, signed_pdf=False),))
    assert outbound(policy, wish=Wish.DECLINE) == PassUnchanged()
    assert isinstance(outbound(policy, wish=Wish.SIGN), Sign)
    assert isinstance(outbound(policy, wish=Wish.DECLINE, to=COLLEAGUE), Sign)
    assert isinstance(outbound(policy, wish=Wish.DECLINE, contents=file), Sign)
    assert isinstance(outbound(policy, wish=Wish.DECLINE, author=Mailbox.parse("soyte@songlam.example")), Sign)
    assert isinstance(outbound(policy, wish=Wish.DECLINE, contents=Contents(markings=frozenset({Marking.MAT}))), Refuse)


@pytest.mark.parametrize(
    "facts",
    [
        {"form": Form.CLEAR_SIGNED},
        {"form": Form.OPAQUE_SIGNED},
        {"form": Form.ENCRYPTED},
        {"form": Form.PGP_INLINE},
        {"reverse_path": NULL_PATH},
        {"traits": {"auto_submitted": True}},
        {"traits": {"list_mail": True}},
        {"traits": {"report": True, "mdn": True}},
    ],
    ids=str,
)
def test_what_must_not_be_signed_passes(policy: Policy, facts: dict[str, Any]) -> None:
    """Signed, encrypted and machine-made mail travels on unchanged."""
    assert outbound(policy, **facts) == PassUnchanged()


@pytest.mark.parametrize("marking", Marking)
def test_state_secrets_are_refused(policy: Policy, marking: Marking) -> None:
    """A secrecy mark is refused before anything else is asked, even in mail that cannot be signed."""
    contents = Contents(markings=frozenset({marking}), complete=False)
    assert isinstance(outbound(policy, contents=contents, form=Form.ENCRYPTED), Refuse)
    assert isinstance(outbound(policy, contents=contents, reverse_path=NULL_PATH), Refuse)


def test_contents_are_read_for_the_marks(policy: Policy) -> None:
    """Else no mark would ever be found; what hid only files or links from us is signed like any other mail."""
    assert policy.asks_contents
    assert isinstance(outbound(policy, contents=Contents(complete=False)), Sign)


def test_an_unknown_author_is_refused_both_ways(policy: Policy) -> None:
    """Where no author can be read there is nobody to sign for, and nobody to show."""
    assert isinstance(outbound(policy, author=None), Refuse)
    assert isinstance(inbound(policy, None, Unsigned("none")), Refuse)


def test_forgeries_of_our_own_domain_are_kept_apart(policy: Policy) -> None:
    """A broken signature in our own name goes to quarantine; from anywhere else it is delivered with its tag."""
    assert isinstance(inbound(policy, OFFICER, Invalid("digest")), Quarantine)
    assert isinstance(inbound(policy, Mailbox.parse("a@xa.songlam.example"), Invalid("digest")), Quarantine)
    assert inbound(policy, CITIZEN, Invalid("digest")) == Deliver()
    assert inbound(policy, OFFICER, Unsigned("none")) == Deliver()


def test_rules_that_are_off_can_be_turned_on() -> None:
    """An inactive example is a right one: turned on it is neither refused nor unreachable."""
    asleep = [each.name for each in load_policy(shipped()).rules if not each.active]
    awake = load_policy([(name, text.replace("active: false", "active: true")) for name, text in shipped()])
    assert len(asleep) == 9
    assert all(each.active for each in awake.rules)


def test_the_footer_can_be_turned_on() -> None:
    """Whoever removes the # gets a footer below every signed message."""
    name, text = shipped()[0]
    text = re.sub(r"(?m)^  # (footer:|  vi:|  en:)", r"  \1", text)
    decision = outbound(load_policy([(name, text), *shipped()[1:]]))
    assert isinstance(decision, Sign)
    assert decision.footer is not None
    assert "smime.p7s" in decision.footer.vietnamese


def test_the_example_of_an_agency_loads_and_stays_at_home() -> None:
    """An agency's file can be copied as it is; it stands behind the mandatory rules and touches nobody else's mail."""
    text = (TOP / "policies/agencies/so-y-te.yaml.example").read_text(encoding="utf-8")
    policy = load_policy(shipped(), agencies=[AgencyFile("so-y-te", "so-y-te.yaml", text)], directory=PROVINCE)
    names = [each.name for each in policy.rules]
    assert names.index("no-state-secrets") < names.index("so-y-te/news") < names.index("sign-official-mail")
    press = Mailbox.parse("tin-bai@soyte.songlam.example")
    decision = outbound(policy, author=press)
    assert isinstance(decision, Sign)
    assert decision.key is KeyChoice.ORGANIZATION
    assert decision.footer is not None
    other = outbound(policy, author=Mailbox.parse("tin-bai@songlam.example"))
    assert other == Sign(KeyChoice.PERSONAL_ELSE_ORGANIZATION, IfUnable.REFUSE)
