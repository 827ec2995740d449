"""What commands print for people: 80 columns, labels apart from values, nothing that a terminal obeys."""

from __future__ import annotations

import pytest

from gateway.cli.screen import show_narrow


def test_no_line_is_wider_than_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Long sentences, values without a blank and long labels are broken; no letter is lost."""
    value = "a" * 200
    show_narrow(
        "tiêu đề " * 20,
        vietnamese="một câu dài " * 10,
        english="",
        color="",
        lines=[
            ("Nhãn / label", value),
            ("", "thêm"),
            ("Một nhãn rất dài / a long label", "x " * 60),
            ("Trống / empty", ""),
        ],
    )
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert out.count("a" * 10) >= 18
    assert "  Một nhãn rất dài / a long label x x" in out
    assert "  Trống / empty\n" in out


@pytest.mark.parametrize("hostile", ["\x1b[2J", "\u202e", "\u200b", "\r", "\n", "\x00", "[red]"])
def test_hostile_text_is_shown_not_obeyed(hostile: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Control and direction characters become visible, markup stays text, and no line is added."""
    show_narrow(f"t{hostile}", vietnamese=f"v{hostile}", english=f"e{hostile}", color="", lines=[("l", f"x{hostile}y")])
    out = capsys.readouterr().out
    assert len(out.splitlines()) == 4
    assert hostile not in out.replace("\n", "") or hostile == "[red]"
