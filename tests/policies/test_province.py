"""The shipped province: as many communes as a real one has since July 2025, every name invented, quick to load."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from gateway.agencies.model import Kind
from gateway.agencies.reading import read_roll
from gateway.agencies.registry import Registry, read_agencies
from gateway.agencies.table import read_table
from gateway.agencies.writing import write_table
from gateway.core.address import Mailbox
from gateway.demo.invented import province

FOLDER: Final = Path(__file__).parents[2] / "config/agencies"
TEXT: Final = (FOLDER / "province.yaml").read_text(encoding="utf-8")


def test_it_is_what_the_demonstration_makes() -> None:
    """The file and its table are written out from `gateway.demo.invented`, and nothing was changed by hand."""
    assert province() == TEXT
    with (FOLDER / "province.csv").open(encoding="utf-8", newline="") as file:
        table = file.read()
    assert table == write_table(read_agencies("province.yaml", TEXT))
    assert read_roll(read_table("province.csv", table)).claims == Registry.load("province.yaml", TEXT).roll.claims


def test_its_size_and_its_names() -> None:
    """29 provincial agencies, 148 communes of three kinds, no district; no name twice, no domain that exists."""
    registry = Registry.load("province.yaml", TEXT)
    kinds = Counter(each.kind for each in registry.agencies)
    local = {kind: kinds[kind] for kind in (Kind.XA, Kind.PHUONG, Kind.DAC_KHU, Kind.HUYEN)}
    assert local == {Kind.XA: 132, Kind.PHUONG: 15, Kind.DAC_KHU: 1, Kind.HUYEN: 0}
    assert kinds.total() == 29 + 148
    assert max(Counter(each.name for each in registry.agencies).values()) == 1
    domains = {domain for claims in registry.roll.claims for domain in claims.mail_domains}
    domains |= {domain for each in registry.roll.successions for domain in (each.old, each.new)}
    assert {domain.rpartition(".")[2] for domain in domains} == {"example"}
    assert not any(claims.fingerprints for claims in registry.roll.claims)


def test_who_is_above_whom() -> None:
    """Neither the council nor the front is below the people's committee; every commune is, and nothing in between."""
    by_id = Registry.load("province.yaml", TEXT).by_id
    assert by_id["hoi-dong-nhan-dan-tinh"].parent is None
    assert by_id["uy-ban-mat-tran-to-quoc-viet-nam-tinh"].parent is None
    communes = [each for each in by_id.values() if each.kind in {Kind.XA, Kind.PHUONG, Kind.DAC_KHU}]
    assert {each.parent for each in communes} == {"uy-ban-nhan-dan-tinh"}


@pytest.mark.parametrize(
    ("mailbox", "agency", "by"),
    [
        ("van-thu@lamkhue.songlam.example", "phuong-thacseu", "successor"),
        ("chu-tich@lamkhue.songlam.example", None, None),
        ("van-thu@thacmo.lamkhue.songlam.example", "xa-thacmo", "successor"),
        ("van-thu@thacseuthuong.lamkhue.songlam.example", "phuong-thacseu", "successor"),
        ("van-thu@conyen.songlam.example", "dackhu-conyen", "domain"),
        ("huyen.conyen@songlam.example", "dackhu-conyen", "mailbox"),
        ("huyen.lamkhue@songlam.example", None, None),
        ("van-thu@sokhdt.songlam.example", "so-tai-chinh", "successor"),
        ("giam-doc@sokhdt.songlam.example", None, None),
        ("sotnmt@songlam.example", "so-nong-nghiep-va-moi-truong", "mailbox"),
        ("vinhsong@vinhsong.example", None, None),
    ],
)
def test_what_is_no_more(mailbox: str, agency: str | None, by: str | None) -> None:
    """A mailbox of an abolished district, department or commune is whose its work is now; titles do not pass on."""
    found = Registry.load("province.yaml", TEXT).found_by_mailbox(Mailbox.parse(mailbox))
    assert (found.agency.id if found else None, found.by if found else None) == (agency, by)


def test_it_loads_in_less_than_a_second() -> None:
    """A reload must not keep anybody waiting for names."""
    begin = time.process_time()
    Registry.load("province.yaml", TEXT)
    assert time.process_time() - begin < 1.0
