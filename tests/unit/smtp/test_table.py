"""The file of logins: what a line may be, what is told about a wrong one, and when the file is read again."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from argon2 import PasswordHasher, extract_parameters
from argon2.low_level import Type
from structlog.testing import capture_logs

from gateway.core.errors import SetupError
from gateway.smtp.auth import table
from gateway.smtp.auth.table import LoginTable, hash_password

if TYPE_CHECKING:
    from pathlib import Path

HASH = "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHRzYWx0c2FsdA$ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGlnZXN0ZGk"


def written(path: Path, text: str, mode: int = 0o640) -> Path:
    """Write a file of logins."""
    path.write_bytes(text.encode())
    path.chmod(mode)
    return path


def refusal(path: Path, text: str) -> list[str]:
    """Return the mistakes in a file, without its name."""
    with pytest.raises(SetupError) as caught:
        LoginTable.load(written(path, text))
    return [each.removeprefix(f"{path}:") for each in caught.value.mistakes]


def test_lines_comments_and_authors(tmp_path: Path) -> None:
    """A line is a login, its hash and what it may send as; authors are stored as they are compared."""
    loaded = LoginTable.load(
        written(
            tmp_path / "logins",
            f"# comment\n\n  # another\nlan:{HASH}:Lan@So.Example, @Hop.Example ,\nmai:{HASH}:\r\n"
            f"hoàng lan:{HASH}:a@b.example",
        )
    )
    assert loaded.authors("lan") == {"lan@so.example", "@hop.example"}
    assert loaded.authors("mai") == frozenset()
    assert loaded.authors("hoàng lan") == {"a@b.example"}
    assert loaded.authors("Lan") == frozenset()
    assert loaded.encoded_hash("lan") == (HASH, True)


def weaker(**changed: int | str) -> str:
    """Return a hash with other parameters."""
    given = {"kind": "argon2id", "m": 65536, "t": 3, **changed}
    return f"${given['kind']}$v=19$m={given['m']},t={given['t']},p=4${HASH.split('$', 4)[4]}"


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("secret", "write login:argon2id-hash:author,author,..."),
        (f"secret:{HASH}", "write login:argon2id-hash:author,author,..."),
        (f"a:b:{HASH}:c", "write login:argon2id-hash:author,author,..."),
        (f":{HASH}:a@b.example", "unfit login"),
        (f"secret :{HASH}:a@b.example", "unfit login"),
        (f"sec\x1bret:{HASH}:a@b.example", "unfit login"),
        ("x:secret:a@b.example", "not an argon2 hash"),
        ("x:$argon2id$secret:a@b.example", "not an argon2 hash"),
        (f"x:{weaker(m='secret')}:a@b.example", "not an argon2 hash"),
        ("x:$2b$12$secretsecretsecretsecretse:a@b.example", "not an argon2 hash"),
        (f"x:{weaker(kind='argon2i')}:a@b.example", "the hash is weaker"),
        (f"x:{weaker(kind='argon2d')}:a@b.example", "the hash is weaker"),
        (f"x:{weaker(m=35839, t=1)}:a@b.example", "the hash is weaker"),
        (f"x:{weaker(m=1024 * 1024 + 1, t=1)}:a@b.example", "the hash costs more"),
        (f"x:{weaker(m=1024 * 1024, t=17)}:a@b.example", "the hash costs more"),
        (f"x:{HASH}:secret", "not a mailbox"),
        (f"x:{HASH}:@se cret", "not a"),
        (f"x:{HASH}:*@secret.example", "write @domain"),
        (f"x:{HASH}é:a@b.example", "not an argon2 hash"),
        (f"x:{HASH.replace('c2FsdHNh', 'sec!et!!')}:a@b.example", "not an argon2 hash"),
        (f"x:{HASH} :a@b.example", "not an argon2 hash"),
    ],
)
def test_a_wrong_line_is_told_but_not_shown(tmp_path: Path, line: str, wanted: str) -> None:
    """The place and the class of the mistake, never a part of the line: it may be a password in the wrong field."""
    (mistake,) = refusal(tmp_path / "logins", f"good:{HASH}:a@b.example\n{line}\n")
    assert mistake.startswith(f"2: {wanted}")
    assert "secret" not in mistake


@pytest.mark.parametrize("parameters", [{"m": 35840, "t": 1}, {"m": 17920, "t": 2}, {"m": 1024 * 1024, "t": 16}])
def test_the_bounds_of_cost_are_inside(tmp_path: Path, parameters: dict[str, int]) -> None:
    """The least and the most that is allowed is allowed."""
    assert LoginTable.load(written(tmp_path / "l", f"x:{weaker(**parameters)}:a@b.example")).encoded_hash("x")[1]


def test_every_mistake_at_once(tmp_path: Path) -> None:
    """Wrong lines, doubled logins and other encodings are told in one run, each with its line."""
    path = tmp_path / "logins"
    path.write_bytes(b"a\n" + f"x:{HASH}:a@b.example\nx:{HASH}:a@b.example\n".encode() + b"\xff:b:c\n")
    path.chmod(0o600)
    with pytest.raises(SetupError) as caught:
        LoginTable.load(path)
    assert [each.removeprefix(f"{path}:")[:2] for each in caught.value.mistakes] == ["1:", "3:", "4:"]


@pytest.mark.parametrize("mode", [0o644, 0o604, 0o660, 0o602, 0o620])
def test_a_file_that_others_can_open_is_refused(tmp_path: Path, mode: int) -> None:
    """Hashes are for guessing at home; who can write the file can log in as anybody."""
    with pytest.raises(SetupError, match="chmod 640"):
        LoginTable.load(written(tmp_path / "logins", f"x:{HASH}:a@b.example", mode))


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """Told with its path."""
    with pytest.raises(SetupError, match="cannot be read: No such file"):
        LoginTable.load(tmp_path / "logins")


def test_an_unknown_login_costs_what_a_known_one_costs(tmp_path: Path) -> None:
    """Its stand-in hash has the parameters of most logins, fits nothing, and is another in each table."""
    text = f"a:{weaker(m=70000)}:a@b.example\nb:{weaker(m=70000)}:a@b.example\nc:{HASH}:a@b.example\n"
    loaded = LoginTable.load(written(tmp_path / "logins", text))
    stand_in, exists = loaded.encoded_hash("nobody")
    assert not exists
    assert loaded.encoded_hash("somebody else") == (stand_in, False)
    assert extract_parameters(stand_in) == extract_parameters(weaker(m=70000))
    empty, exists = LoginTable.empty().encoded_hash("nobody")
    assert not exists
    assert extract_parameters(empty) == extract_parameters(HASH)
    assert LoginTable.empty().encoded_hash("nobody")[0] != empty


def test_a_changed_file_is_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new password counts within a second or so, without a signal."""
    path = written(tmp_path / "logins", f"lan:{HASH}:a@b.example\n")
    loaded = LoginTable.load(path)
    written(path, f"mai:{HASH}:c@d.example\n")
    assert loaded.authors("lan") == {"a@b.example"}  # looked at a moment ago
    monkeypatch.setattr(table, "_LOOK_EVERY", 0.0)
    assert loaded.authors("lan") == frozenset()
    assert loaded.authors("mai") == {"c@d.example"}


def test_an_unfit_file_leaves_the_last_good_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip of the editor locks nobody out, is told, and is mended by the next good file."""
    monkeypatch.setattr(table, "_LOOK_EVERY", 0.0)
    path = written(tmp_path / "logins", f"lan:{HASH}:a@b.example\n")
    loaded = LoginTable.load(path)
    with capture_logs() as logs:
        written(path, "secret\n")
        assert loaded.encoded_hash("lan")[1]
        path.chmod(0o644)
        assert loaded.encoded_hash("lan")[1]
        path.unlink()
        assert loaded.encoded_hash("lan")[1]
    assert len(logs) >= 3
    assert {each["log_level"] for each in logs} == {"error"}
    assert "secret" not in str(logs)
    written(path, f"mai:{HASH}:a@b.example\n")
    assert not loaded.encoded_hash("lan")[1]


def test_a_file_replaced_by_one_of_the_same_size_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The usual way of editors and scripts (write beside, rename) is seen by the file's number."""
    monkeypatch.setattr(table, "_LOOK_EVERY", 0.0)
    path = written(tmp_path / "logins", f"lan:{HASH}:a@b.example\n")
    loaded = LoginTable.load(path)
    other = written(tmp_path / "new", f"mai:{HASH}:a@b.example\n")
    os.utime(other, ns=(path.stat().st_atime_ns, path.stat().st_mtime_ns))
    other.rename(path)
    assert loaded.encoded_hash("mai")[1]


def test_nothing_is_shown() -> None:
    """Representations hold no hash: they may reach a log."""
    assert repr(LoginTable.empty()) == "LoginTable(0 logins)"


def test_the_hash_we_make_is_one_we_take(tmp_path: Path) -> None:
    """`gateway passwd` writes argon2id with RFC 9106's second set; an empty password is refused."""
    encoded = hash_password(b"x")
    assert extract_parameters(encoded).type is Type.ID
    assert PasswordHasher().verify(encoded, "x")
    assert LoginTable.load(written(tmp_path / "logins", f"lan:{encoded}:a@b.example")).encoded_hash("lan") == (
        encoded,
        True,
    )
    with pytest.raises(ValueError, match="empty"):
        hash_password(b"")
