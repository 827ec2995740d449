"""The store of pinned certificates: only added to, noticed when touched, never overwritten."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from gateway.core.errors import SetupError
from gateway.trust.index import FIRST, Line, append
from gateway.trust.store import Store
from support.letters import NOW
from support.programs import environment
from support.tree import DAY, root

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from support.tree import Node

ROOT: Final = root()
SECOND: Final = root("Gốc G2")
ISSUER: Final = ROOT.issue("CA trung gian", ca=True)


def filled(directory: Path) -> Store:
    """Return a store with two anchors, one of them retired, and an intermediate."""
    store = Store(directory / "trust")
    add(store, ROOT)
    add(store, SECOND, family="vgca")
    store.add(ISSUER.certificate, kind="intermediate", family="", who="an", note="", now=NOW)
    store.retire(SECOND.certificate.fingerprint, who="an", reason="thay", now=NOW)
    return store


def add(store: Store, node: Node, family: str = "") -> None:
    """Pin an anchor."""
    store.add(node.certificate, kind="anchor", family=family, who="an", note="so với công báo", now=NOW)


def standing(store: Store) -> set[tuple[str, str]]:
    """Return fingerprint and kind of what stands."""
    return {(each.certificate.fingerprint, each.line.kind) for each in store.pins()}


def test_what_was_added_stands_until_it_is_retired(tmp_path: Path) -> None:
    """And can be added again; the record keeps every act, with who, when and why."""
    store = filled(tmp_path)
    assert standing(store) == {
        (ROOT.certificate.fingerprint, "anchor"),
        (ISSUER.certificate.fingerprint, "intermediate"),
    }
    add(store, SECOND)
    assert (SECOND.certificate.fingerprint, "anchor") in standing(store)
    lines = store.index().lines
    assert [each.action for each in lines] == ["added", "added", "added", "retired", "added"]
    assert lines[3] == Line(NOW.isoformat(), "an", "retired", SECOND.certificate.fingerprint, "anchor", "vgca", "thay")
    assert store.findings(NOW) == ()


def test_a_store_that_was_never_made_pins_nothing(tmp_path: Path) -> None:
    """Nobody has to make it."""
    store = Store(tmp_path / "trust")
    assert store.pins() == ()
    assert store.index().head == FIRST


def test_twice_is_refused(tmp_path: Path) -> None:
    """A second family for one certificate would be a contradiction."""
    store = filled(tmp_path)
    with pytest.raises(SetupError, match="is there already"):
        add(store, ROOT, family="vgca")
    with pytest.raises(SetupError, match="is not there"):
        store.retire(SECOND.certificate.fingerprint, who="an", reason="thay", now=NOW)


def test_nobody_else_may_look_or_write(tmp_path: Path) -> None:
    """Directory and files are the gateway's own, whatever the umask."""
    before = os.umask(0)
    try:
        store = filled(tmp_path)
    finally:
        os.umask(before)
    assert store.directory.stat().st_mode & 0o777 == 0o700
    assert {each.stat().st_mode & 0o777 for each in store.directory.iterdir()} == {0o600}


def test_what_root_writes_the_gateway_can_read(tmp_path: Path) -> None:
    """An administrator may be root, the gateway never is: all of it belongs to whom the directory above belongs."""
    if os.geteuid() == 0:
        os.chown(tmp_path, 12345, 12345)
    store = filled(tmp_path)
    owner = tmp_path.stat()
    owners = {(each.stat().st_uid, each.stat().st_gid) for each in (store.directory, *store.directory.iterdir())}
    assert owners == {(owner.st_uid, owner.st_gid)}
    assert len(store.pins()) == 2


def without_line(number: int) -> Callable[[list[bytes]], list[bytes]]:
    """Return what takes a line out."""
    return lambda lines: lines[:number] + lines[number + 1 :]


@pytest.mark.parametrize(
    ("spoil", "place"),
    [
        (without_line(0), ":1: the line before"),
        (without_line(1), ":2: the line before"),
        (without_line(2), ":3: the line before"),
        (lambda lines: [lines[1], lines[0], *lines[2:]], ":1: the line before"),
        (lambda lines: [lines[0].replace(b'"an"', b'"ai"'), *lines[1:]], ":2: the line before"),
        (lambda lines: [*lines[:2], b"", *lines[2:]], ":3: is not a line"),
        (lambda lines: [*lines, lines[0]], ":5: the line before"),
        (lambda lines: [*lines[:3], b"{}"], ":4: is not a line"),
        (lambda lines: [*lines[:3], b"[" * 100_000], ":4: is not a line"),
        (lambda lines: [*lines[:3], lines[3].replace(b"retired", b"trusted")], ":4: an action"),
        (lambda lines: [*lines[:3], lines[3].replace(b'"kind": "anchor"', b'"kind": 5')], ":4: is not a line"),
    ],
)
def test_a_record_that_was_touched_says_nothing(
    tmp_path: Path, spoil: Callable[[list[bytes]], list[bytes]], place: str
) -> None:
    """A line taken out, changed, put in or moved is noticed, and its place is named; nothing is guessed or added."""
    store = filled(tmp_path)
    lines = store.index_file.read_bytes().splitlines()
    store.index_file.write_bytes(b"".join(each + b"\n" for each in spoil(lines)))
    before = store.index_file.read_bytes()
    with pytest.raises(SetupError, match=f"index.jsonl{place}"):
        store.pins()
    with pytest.raises(SetupError):
        add(store, root("Gốc G3"))
    assert store.index_file.read_bytes() == before


def test_a_line_cut_off_by_a_crash_is_named(tmp_path: Path) -> None:
    """It may have been a retirement: somebody must look."""
    store = filled(tmp_path)
    store.index_file.write_bytes(store.index_file.read_bytes()[:-5])
    with pytest.raises(SetupError, match="its last line is cut off"):
        store.pins()


def test_a_record_that_is_gone(tmp_path: Path) -> None:
    """Certificates without a record are no store that was never made."""
    store = filled(tmp_path)
    store.index_file.unlink()
    with pytest.raises(SetupError, match="is gone"):
        store.pins()
    with pytest.raises(SetupError, match="is gone"):
        add(store, root("Gốc G3"))


def test_a_crash_between_file_and_line(tmp_path: Path) -> None:
    """The first certificate's file without its line is a leftover: it is told of, and can be added again."""
    store = Store(tmp_path / "trust")
    add(store, ROOT)
    store.index_file.write_bytes(b"")
    assert store.pins() == ()
    assert len(store.findings(NOW)) == 1
    add(store, ROOT)
    assert standing(store) == {(ROOT.certificate.fingerprint, "anchor")}


@pytest.mark.parametrize("octets", [None, b"", b"garbage", SECOND.certificate.der])
def test_a_certificate_that_does_not_fit_its_name(tmp_path: Path, octets: bytes | None) -> None:
    """Whoever can write files cannot make another certificate trusted; nor is one silently lost."""
    store = filled(tmp_path)
    file = store.directory / f"{ROOT.certificate.fingerprint}.der"
    file.unlink() if octets is None else file.write_bytes(octets)
    with pytest.raises(SetupError, match=ROOT.certificate.fingerprint):
        store.pins()
    assert any(ROOT.certificate.fingerprint in each for each in store.findings(NOW))


def test_what_ended_is_told(tmp_path: Path) -> None:
    """While it stands, not after it was retired."""
    store = filled(tmp_path)
    (line,) = store.findings(NOW + 400 * DAY)
    assert ISSUER.certificate.fingerprint in line
    assert "ended at" in line


@pytest.mark.parametrize("spoil", ["mode", "link", "fifo", "second name"])
def test_a_record_that_others_could_have_written(tmp_path: Path, spoil: str) -> None:
    """Open to others, a link, a FIFO or a second name: not believed, and nobody hangs at it."""
    store = filled(tmp_path)
    file = store.index_file
    octets = file.read_bytes()
    if spoil == "mode":
        file.chmod(0o620)
    elif spoil == "second name":
        os.link(file, tmp_path / "elsewhere")
    else:
        file.unlink()
        elsewhere = tmp_path / "elsewhere"
        elsewhere.write_bytes(octets)
        elsewhere.chmod(0o600)
        file.symlink_to(elsewhere) if spoil == "link" else os.mkfifo(file)
    with pytest.raises(SetupError, match=r"index\.jsonl"):
        store.pins()


@pytest.mark.parametrize("note", ["a\nb", "\x1b[31m", "x" * 501])
def test_a_note_is_one_short_line(tmp_path: Path, note: str) -> None:
    """It is printed on terminals later."""
    store = Store(tmp_path / "trust")
    with pytest.raises(SetupError, match="one line"):
        store.add(ROOT.certificate, kind="anchor", family="", who="an", note=note, now=NOW)
    assert not store.directory.exists()


def test_writers_at_once_keep_the_chain(tmp_path: Path) -> None:
    """Several processes append; every line stands behind the one before it."""
    (tmp_path / "trust").mkdir()
    file = tmp_path / "trust/index.jsonl"
    program = (
        "import sys; from pathlib import Path; from gateway.trust.index import Line, append\n"
        "for n in range(10): append(Path(sys.argv[1]), Line('t', sys.argv[2], 'added', 'a'*64, 'anchor', '', ''))"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", program, str(file), str(each)], env=environment()) for each in range(3)
    ]
    assert [each.wait(120) for each in running] == [0, 0, 0]
    assert len(Store(file.parent).index().lines) == 30


def test_a_full_disk_leaves_no_half_line(tmp_path: Path) -> None:
    """The record stays readable when a line cannot be written as a whole."""
    (tmp_path / "trust").mkdir()
    file = tmp_path / "trust/index.jsonl"
    append(file, Line("t", "an", "added", "a" * 64, "anchor", "", ""))
    program = (
        "import resource, signal, sys; from pathlib import Path; from gateway.core.errors import SetupError\n"
        "from gateway.trust.index import Line, append\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))\n"
        "try: append(Path(sys.argv[1]), Line('t', 'an', 'retired', 'a'*64, 'anchor', '', 'x'))\n"
        "except SetupError: sys.exit(7)"
    )
    for more in (0, 10):
        limit = str(file.stat().st_size + more)
        done = subprocess.run([sys.executable, "-c", program, str(file), limit], env=environment(), check=False)
        assert done.returncode == 7
        assert len(Store(file.parent).index().lines) == 1


def test_the_record_is_lines_of_json(tmp_path: Path) -> None:
    """Readable without us, Vietnamese as it is written."""
    store = filled(tmp_path)
    given = [json.loads(each) for each in store.index_file.read_text(encoding="utf-8").splitlines()]
    assert given[0]["before"] == FIRST
    assert given[0]["note"] == "so với công báo"
    assert "công báo" in store.index_file.read_text(encoding="utf-8")
