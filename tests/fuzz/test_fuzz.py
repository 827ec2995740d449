"""A minute of coverage-guided fuzzing, and OpenSSL's word on signatures over whatever hypothesis writes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.demo.authority import pem
from support.examples import examples
from support.letters import HEAD, authority, lan, multipart, signed
from support.splitter import cut
from support.verifiers import openssl_verify

HERE = Path(__file__).parent
SECONDS = int(os.environ.get("GATEWAY_FUZZ_SECONDS", "60"))
SEED = os.environ.get("GATEWAY_FUZZ_SEED", "20261125")
"""0 for another way each time: every run looks at the same inputs first, a long one (`make fuzz`) at new ones."""


@pytest.mark.parametrize(("target", "share"), [("fuzz_mime.py", 40), ("fuzz_cms.py", 20)])
def test_no_input_breaks_a_reader(target: str, share: int, tmp_path: Path) -> None:
    """No crash, no hang, nothing verified that nobody signed, no signature of ours that does not verify."""
    seconds = SECONDS * share // 60
    done = subprocess.run(
        [
            sys.executable,
            str(HERE / target),
            f"-max_total_time={seconds}",
            f"-seed={SEED}",
            f"-artifact_prefix={tmp_path}/",
        ],
        capture_output=True,
        check=False,
        timeout=seconds + 120,
        cwd=tmp_path,
    )
    told = done.stderr.decode(errors="replace")
    assert done.returncode == 0, told[-4000:]
    assert "DONE" in told, told[-4000:]


LINES = st.lists(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=1200).map(lambda line: line.encode()),
    max_size=12,
).map(b"\r\n".join)
HEADERS = st.sampled_from(
    [
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n",
        b"Content-Type: text/html; charset=utf-8\r\n\r\n",
        b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n",
        b"\r\n",
    ]
)
PARTS = st.tuples(HEADERS, LINES).map(b"".join)
ENTITIES = st.one_of(PARTS, st.lists(PARTS, min_size=1, max_size=4).map(lambda parts: multipart("mixed", *parts)))


@settings(max_examples=examples(150), suppress_health_check=list(HealthCheck))
@given(entity=ENTITIES)
def test_openssl_takes_every_signature(entity: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever a client writes, what we make of it is good by OpenSSL."""
    pieces = cut(signed(HEAD + entity, lan("p256"), boundary="=_never_inside_0123456789"))
    root = pem(authority().root)
    assert openssl_verify(pieces.part, pieces.cms, root, tmp_path_factory.mktemp("o", numbered=True))
