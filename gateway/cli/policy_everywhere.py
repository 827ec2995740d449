"""Policies where machines share a database: `gateway policy apply` for all of them, `gateway policy status`.

The directory `policies` of each machine is a draft; what was applied on any of them rules on all. Exit codes of status:
0 all machines have the policy in force, 1 some do not, 2 the call or its files are wrong.
"""

from __future__ import annotations

import datetime as dt
import socket
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gateway.app.policies import directory_of, policy_of, read_texts
from gateway.app.presence import find_running
from gateway.app.world import read_registry
from gateway.cli.call import DEFAULT_CONFIG, acting_user, printable, say_json, stop
from gateway.cli.everywhere import for_all
from gateway.config.load import load_settings
from gateway.core.errors import GatewayError, SetupError
from gateway.core.local import VIETNAM
from gateway.record.logs import configure
from gateway.sharing.decrees import POLICY, digest, latest_policy, of_texts, texts_of
from gateway.spool.gazette import Follower, OvertakenError
from gateway.spool.opening import open_gazette

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from gateway.config.model import Settings
    from gateway.sharing.copies import Texts
    from gateway.spool.gazette import Decree, Past

_LOOK: Final = 0.2
"""Seconds between two looks at what the gateways say."""


def apply_to_all(settings: Settings, *, wait: float, over: int | None, again: int | None, as_json: bool) -> int:
    """Publish this machine's draft, or an earlier policy, and wait for every gateway; returns the exit code.

    Raises `SetupError` for files that do not load here: nothing was published.
    """
    configure("error")
    texts = read_texts(settings.policies) if again is None else _earlier(settings, again)
    place = settings.policies if again is None else Path(f"policy {again}")
    policy_of(place, texts, directory_of(settings, read_registry(settings.agencies)), settings)
    decree = of_texts(texts, who=acting_user())

    def choose(past: Past) -> Sequence[Decree]:
        last = latest_policy(past)
        if last is None or last.subject == decree.subject:
            return () if last is not None else (decree,)
        elsewhere = again is None and last.node != socket.gethostname()
        if last.number != over and (elsewhere or over is not None):
            raise OvertakenError(
                f"đang có hiệu lực là bản / in force is policy {_title(last)}: hợp nhất, rồi / take it into the draft"
                f" (gateway policy status --out DIR), then: --over {last.number}"
            )
        return (decree,)

    for_all(settings, choose)
    return _report(settings, wait, as_json=as_json)


def status(
    config: Annotated[Path, typer.Option("--config", help="The gateway's configuration.")] = DEFAULT_CONFIG,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Write its files here.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object.")] = False,  # noqa: FBT002 - a flag
) -> None:
    """Say which policy is in force, who applied it, and what every gateway runs with."""
    configure("error")
    try:
        settings = load_settings(config)
        if not settings.spool.shared:
            _say_alone(settings, out, as_json=as_json)
            return
        if out is not None:
            _write_out(settings, out)
        code = _report(settings, 0.0, as_json=as_json)
    except SetupError as error:
        stop(2, *error.mistakes)
    except GatewayError as error:
        stop(2, str(error))
    raise typer.Exit(code)


def _say_alone(settings: Settings, out: Path | None, *, as_json: bool) -> None:
    """Say what the one gateway here runs with; for programs in the form of a machine that shares with nobody."""
    if out is not None:
        raise SetupError("--out: for machines that share a database (spool.database): here it is the directory")
    try:
        running = find_running(settings.spool.directory)
        state = running.state() if running is not None else None
    except OSError as error:
        raise SetupError(f"{error.filename or settings.spool.directory}: {error.strerror}") from error
    if running is None or state is None:
        stop(1, f"{settings.spool.directory}: no gateway runs on this spool")
    if as_json:
        said = {"policy": state.policy, "mistakes": list(state.mistakes)}
        _say_json(settings, (), [Follower(f"{socket.gethostname()}/{running.pid}", said)])
    else:
        at = dt.datetime.fromisoformat(state.at).astimezone(VIETNAM).isoformat(sep=" ", timespec="seconds")
        sys.stdout.write(f"bản {printable(state.policy[:16])} đang chạy / policy is live, {at}\n")
    if state.mistakes:
        stop(1, *state.mistakes)


def _earlier(settings: Settings, number: int) -> Texts:
    with open_gazette(settings.spool) as gazette:
        found = gazette.whole(number)
    if found is None or found.kind != POLICY:
        raise SetupError(f"--again {number}: there is no such policy: gateway policy status")
    return texts_of(found)


def _write_out(settings: Settings, out: Path) -> None:
    with open_gazette(settings.spool) as gazette:
        latest = latest_policy(gazette.past())
        found = gazette.whole(latest.number) if latest is not None else None
    if found is None:
        raise SetupError("--out: no policy was applied on these machines yet")
    try:
        out.mkdir()
        for name, text in texts_of(found).items():
            place = out / name
            if place.parent not in {out, out / "agencies"} or place.name in {".", ".."}:
                raise SetupError(f"policy {found.number}: {name}: is no name of a policy file")
            place.parent.mkdir(exist_ok=True)
            place.write_text(text, encoding="utf-8")
    except OSError as error:
        raise SetupError(f"{error.filename or out}: {error.strerror}") from error


def _report(settings: Settings, wait: float, *, as_json: bool) -> int:
    """Say what every gateway runs with, waiting until all have what is in force; returns the exit code."""
    with open_gazette(settings.spool) as gazette:
        past = gazette.past()
        latest = latest_policy(past)
        until = time.monotonic() + wait
        followers = gazette.followers()
        while not all(_has(each, latest) for each in followers) and time.monotonic() < until:
            if latest is not None and all(_has(each, latest) or _refuses(each, latest) for each in followers):
                break
            time.sleep(_LOOK)
            followers = gazette.followers()
    (_say_json if as_json else _say)(settings, [each for each in past if each.kind == POLICY], followers)
    return 0 if followers and all(_has(each, latest) for each in followers) else 1


def _has(follower: Follower, latest: Decree | None) -> bool:
    return latest is None or follower.said.get("files") == latest.subject


def _refuses(follower: Follower, latest: Decree) -> bool:
    """Return whether a gateway knows of it, and said why it does not take it."""
    number = follower.said.get("number")
    return isinstance(number, int) and number >= latest.number and bool(follower.said.get("mistakes"))


def _mistakes(follower: Follower) -> list[str]:
    found = follower.said.get("mistakes")
    return [str(each) for each in found] if isinstance(found, list) else []


def _title(decree: Decree) -> str:
    return printable(f"{decree.number} ({decree.at}, {decree.node}, {decree.who}, {decree.subject[:16]})")


def _say(settings: Settings, policies: Sequence[Decree], followers: Iterable[Follower]) -> None:
    write, latest = sys.stdout.write, policies[-1] if policies else None
    if latest is None:
        write(f"chưa áp dụng bản nào / none was applied yet: each machine has its own {settings.policies}\n")
    for each in policies[-5:-1]:
        write(f"  trước đó / before: {_title(each)}\n")
    if latest is not None:
        write(f"đang có hiệu lực / in force: {_title(latest)}\n")
        if digest(read_texts(settings.policies)) != latest.subject:
            write(f"bản nháp ở đây khác / the draft here is another one: {settings.policies}\n")
    for follower in followers:
        words = "có / has it" if _has(follower, latest) else "KHÔNG / DOES NOT HAVE IT"
        runs = printable(str(follower.said.get("policy", "?"))[:16])
        write(f"{printable(follower.name)}: {words}; đang chạy / runs {runs}\n")
        for line in _mistakes(follower):
            write(f"  {printable(line)}\n")


def _say_json(settings: Settings, policies: Sequence[Decree], followers: Iterable[Follower]) -> None:
    latest = policies[-1] if policies else None
    found = {
        "policies": [
            {"number": each.number, "files": each.subject, "at": each.at, "node": each.node, "who": each.who}
            for each in policies
        ],
        "draft": digest(read_texts(settings.policies)),
        "machines": [
            {
                "name": each.name,
                "has": _has(each, latest),
                "policy": each.said.get("policy"),
                "number": each.said.get("number"),
                "mistakes": _mistakes(each),
            }
            for each in followers
        ],
    }
    say_json(found)
