"""Tables of office programs: read with the place of each mistake, written so that Excel reads them, and back again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.agencies.model import Kind
from gateway.agencies.reading import read_roll
from gateway.agencies.registry import Registry, read_agencies
from gateway.agencies.table import read_table
from gateway.agencies.writing import write_table, write_yaml
from gateway.core.errors import SetupError

YAML = """\
agencies:
  - id: so-y-te
    name: Sở Y tế
    english: Department of Health, Song Lam
    kind: so
    former: ["Sở Y tế và Xã hội"]
    short: [SYT, "=SYT"]
    mailboxes: [soyte@songlam.example, vanthu.yte@songlam.example]
    domains: ["@soyte.songlam.example"]
    subjects:
      - {organization: "SỞ Y TẾ, TỈNH SÔNG LAM", domain: "@songlam.example"}
      - {organization: TỈNH, unit: 'PHÒNG "A"', domain: songlam.example}
      - {unit: PHÒNG B, domain: songlam.example}
    fingerprints: ["%s"]
  - {id: xa, name: Xã Bến Thoi, kind: xa, parent: so-y-te, mailboxes: xa@songlam.example}
""" % ("AB" * 32)


def registry(table: str) -> Registry:
    return Registry.of(read_roll(read_table("a.csv", table)))


def test_there_and_back() -> None:
    """A registry written as a table, and the table as YAML, is the same registry."""
    there = write_table(read_agencies("a.yaml", YAML))
    assert there.startswith("\ufeffid,name,english,kind,parent,")
    assert "\r\n" in there
    assert registry(there).roll == Registry.load("a.yaml", YAML).roll
    back = write_yaml(read_table("a.csv", there))
    assert Registry.load("b.yaml", back).roll == Registry.load("a.yaml", YAML).roll
    assert write_yaml(read_agencies("b.yaml", back)) == back


def mistakes(table: str) -> tuple[str, ...]:
    try:
        registry(table)
    except SetupError as error:
        return error.mistakes
    return ()


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("said", [False, True])
def test_what_office_programs_write(delimiter: str, end: str, mark: str, *, said: bool) -> None:
    """Comma, semicolon or tab, with a mark or a "sep=" line, empty rows and columns, padding and formulas."""
    rows = [
        ["ID", "Tên", "Loại", "Hộp thư", "Tên miền", "", ""],
        ["", "", "", "", "", "", ""],
        ["so-y-te", '"Sở ""Y"" tế"', "Sở", '"soyte@songlam.example\nyte@songlam.example"', "soyte.songlam.example"],
        [
            " xa ",
            '="Xã Bến Thoi"',
            "Xã\u00a0",
            "xa@songlam.example | x@songlam.example",
            '"@xa.example;@b.example"',
            "",
        ],
        ["bv", "'=Bệnh viện", "Bệnh viện", '"bv@songlam.example, bv2@songlam.example"', "", "", ""],
    ]
    text = (f"sep={delimiter}{end}" if said else "") + end.join(delimiter.join(row) for row in rows) + end
    found = registry(mark + text)
    assert [(each.id, each.name, each.kind) for each in found.agencies] == [
        ("so-y-te", 'Sở "Y" tế', Kind.SO),
        ("xa", "Xã Bến Thoi", Kind.XA),
        ("bv", "=Bệnh viện", Kind.BENH_VIEN),
    ]
    assert [(len(each.mailboxes), len(each.domains)) for each in found.roll.claims] == [(2, 1), (2, 2), (2, 0)]


@pytest.mark.parametrize(
    ("table", "mistake"),
    [
        ("", "a.csv:1:1: must be a list with at least one item"),
        ("id,name,mailboxes\n", "a.csv:1:1: must be a list with at least one item"),
        ("id,nam,mailboxes\na,b,c@d.example\n", "a.csv:1:4: unknown key 'nam', did you mean 'name'?"),
        ("id,name,ten,mailboxes\na,b,,c@d.example\n", "a.csv:1:9: column 'name' stands here again"),
        ("id,name,mailboxes\n,b,c@d.example\n", "a.csv:2:1: key 'id' is missing"),
        ("id,name,mailboxes\na,b,\n", "a.csv:2:1: nothing can be found by it"),
        ("id,name,mailboxes\na,b,c@d.example | e\n", "a.csv:2:5: not a mailbox: 'e'"),
        ("id,name,mailboxes\na,b,c@d.example,e\n", "a.csv:2:17: a cell without a heading above it"),
        ('id,name,mailboxes\na,"b\nc",x@d.example\ne,f,c\n', "a.csv:4:5: not a mailbox: 'c'"),
        ('id,name,mailboxes\na,"b\nc",x\n', "a.csv:3:4: not a mailbox: 'x'"),
        ('id,name,mailboxes\na,"b,c@d.example\n', "a.csv:2:3: a quotation mark is never closed"),
        ("id,name,kind,mailboxes\na,b,Cục,c@d.example\n", "a.csv:2:5: must be one of: tinh, so, ban"),
        ("id,name,subjects\na,b,SỞ Y TẾ\n", "a.csv:2:5: must be a section with keys (organization, unit, domain)"),
        ("id,name,subjects\na,b,@d.example\n", "a.csv:2:5: needs organization (O) or unit (OU)"),
        ("id,name,fingerprints\na,b,1.23E+63\n", "a.csv:2:5: must be a SHA-256 fingerprint"),
        (
            "id,name,mailboxes\na,b,c@d.example\nb,c,C@d.example\n",
            "a.csv:3:5: mailbox c@d.example is already claimed by agency 'a' at a.csv:2:5",
        ),
    ],
)
def test_mistakes(table: str, mistake: str) -> None:
    """Each mistake is told with the line and the column of its cell."""
    assert any(mistake in each for each in mistakes(table))


@given(st.text(alphabet="\",;\t\r\n'= ab@|\ufeffđ", max_size=60))
def test_any_text_is_a_table_or_a_mistake(text: str) -> None:
    """Whatever stands in a file, reading it ends, and ends in a registry or in mistakes with places."""
    for whole in (text, f"id,name,mailboxes\n{text}", f"id;name\n{text}"):
        assert all(each.startswith("a.csv:") for each in mistakes(whole))


def test_nothing_runs_in_an_office_program() -> None:
    """A cell that a spreadsheet would take for a formula is written as text, and read back as it was."""
    name = '=HYPERLINK("http://noi-khac.example")'
    document = read_agencies("a.yaml", f"agencies: [{{id: a, name: '{name}', domains: '@a.example'}}]")
    written = write_table(document)
    assert not any(cell.startswith(("=", "+", "-", "@", '"=')) for cell in written.split("\r\n")[1].split(","))
    assert registry(written).agencies[0].name == name
