"""The shipped province: as many agencies as a real one had, every name invented, quick to load."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Final

from gateway.agencies.model import Kind
from gateway.agencies.reading import read_roll
from gateway.agencies.registry import Registry, read_agencies
from gateway.agencies.table import read_table
from gateway.agencies.writing import write_table
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
    """33 provincial agencies, 13 districts, 158 communes and wards; no name twice, no domain that exists."""
    registry = Registry.load("province.yaml", TEXT)
    kinds = Counter(each.kind for each in registry.agencies)
    local = kinds[Kind.XA] + kinds[Kind.PHUONG]
    assert (kinds.total(), kinds[Kind.HUYEN], local) == (204, 13, 158)
    assert max(Counter(each.name for each in registry.agencies).values()) == 1
    domains = {domain for claims in registry.roll.claims for domain in claims.mail_domains}
    assert {domain.rpartition(".")[2] for domain in domains} == {"example"}
    assert not any(claims.fingerprints for claims in registry.roll.claims)


def test_it_loads_in_less_than_a_second() -> None:
    """A reload must not keep anybody waiting for names."""
    begin = time.process_time()
    Registry.load("province.yaml", TEXT)
    assert time.process_time() - begin < 1.0
