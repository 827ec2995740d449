"""How far a mailbox was read: replaced as a whole, and worth nothing where it cannot be read."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from gateway.mailbox.progress import Place, Progress

if TYPE_CHECKING:
    from pathlib import Path


def test_a_place_is_found_again(tmp_path: Path) -> None:
    """Each mailbox has its own, whatever its name holds."""
    progress = Progress(tmp_path / "state")
    names = ("lan@tinh.example", "../../etc/passwd@x.example", "a/b@tinh.example", "đỗ@tinh.example")
    for number, name in enumerate(names):
        progress.save(name, Place(7, number))
    again = Progress(tmp_path / "state")
    assert [again.load(name) for name in names] == [Place(7, number) for number in range(len(names))]
    assert {each.parent for each in tmp_path.rglob("*.json")} == {tmp_path / "state"}
    assert again.load("mai@tinh.example") is None


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[1]", b'{"validity": "x", "last": 1}', b"\xff\xfe", b'{"validity": 1']
)
def test_a_broken_file_is_no_place(content: bytes, tmp_path: Path) -> None:
    """Looking again is always right; believing half a file is not."""
    progress = Progress(tmp_path)
    progress.save("lan@tinh.example", Place(7, 3))
    (file,) = tmp_path.glob("*.json")
    file.write_bytes(content)
    assert progress.load("lan@tinh.example") is None


def test_a_failed_write_leaves_the_old_place(tmp_path: Path) -> None:
    """The new file takes the old one's place only when it is whole."""
    progress = Progress(tmp_path)
    progress.save("lan@tinh.example", Place(7, 3))
    (file,) = tmp_path.glob("*.json")
    file.with_suffix(".new").mkdir()
    with pytest.raises(OSError, match="directory"):
        progress.save("lan@tinh.example", Place(7, 4))
    assert json.loads(file.read_bytes())["last"] == 3
