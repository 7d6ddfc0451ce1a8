"""A table as one file or as a folder: journeys found again, other people's files left alone."""

import base64
import json
import re
import zlib
from pathlib import Path

import pytest

from ddxgraph.common.errors import PageError
from ddxgraph.common.words import NOTICE
from ddxgraph.view.data.row import Column
from ddxgraph.view.page import blocks
from ddxgraph.view.page.table import Fact, Heading, TablePage, is_single

COLUMNS = (Column("Case", "text"), Column("Number", "number"))
HEADING = Heading("pilot", "medqa", [Fact("3", "traces")])


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_CHARS", 20)


def made(out: Path, *markups: str, heading: Heading = HEADING, blind: bool = False) -> Path:
    page = TablePage(out)
    for number, markup in enumerate(markups):
        page.add(f"id-{number}", (f"case-{number}", number), markup)
    return page.write(heading, COLUMNS, blind=blind)


def table_of(page: str) -> dict:
    (text,) = re.findall(r'<script type="text/plain" id="table">([^<]*)</script>', page)
    return json.loads(text)


def unpacked(text: str) -> list[str]:
    return json.loads(zlib.decompress(base64.b64decode(text)))


MARKUPS = [f"<p>journey {number} &lt;</p>" for number in range(7)]


def test_one_file_holds_the_table_and_every_journey(tmp_path):
    place = made(tmp_path / "run.html", *MARKUPS)
    assert place == tmp_path / "run.html"
    assert [path.name for path in tmp_path.iterdir()] == ["run.html"]
    page = place.read_text(encoding="utf-8")
    table = table_of(page)
    held = {
        int(number): unpacked(text)
        for number, text in re.findall(r'<script type="text/plain" id="block-(\d+)">([^<]*)</script>', page)
    }
    assert table["ids"] == [f"id-{number}" for number in range(7)]
    assert table["rows"] == [[f"case-{number}", number] for number in range(7)]
    assert [held[block][place] for block, place in table["at"]] == MARKUPS
    assert [column["title"] for column in table["columns"]] == ["Case", "Number"]
    assert len(held) > 1
    assert page.index('id="table"') < page.index('id="block-0"'), "the table can be shown first"
    assert "file:" not in re.findall(r'Content-Security-Policy" content="([^"]*)"', page)[0]
    assert NOTICE in page


def test_a_folder_holds_an_index_and_the_journeys_beside_it(tmp_path):
    place = made(tmp_path / "new" / "pages", *MARKUPS)
    assert place == tmp_path / "new" / "pages" / "index.html"
    page = place.read_text(encoding="utf-8")
    table = table_of(page)
    held = {}
    for path in (place.parent / "blocks").iterdir():
        (found,) = re.findall(r'^ddxBlock\((\d+),"([^"]*)"\)\n$', path.read_text(encoding="ascii"))
        assert path.name == f"{found[0]}.js"
        held[int(found[0])] = unpacked(found[1])
    assert [held[block][place] for block, place in table["at"]] == MARKUPS
    assert "block-0" not in page
    assert "script-src &#39;sha256-" in page
    assert "&#39;self&#39; file:" in page, "the index may load what lies beside it"
    assert NOTICE in page


def test_pages_are_written_again_over_earlier_ones_and_what_is_stale_goes(tmp_path):
    out = tmp_path / "pages"
    made(out, *MARKUPS)
    assert len(list((out / "blocks").iterdir())) > 1
    made(out, MARKUPS[0])
    assert [path.name for path in (out / "blocks").iterdir()] == ["0.js"]
    assert table_of((out / "index.html").read_text(encoding="utf-8"))["ids"] == ["id-0"]


def test_scripts_that_are_no_blocks_are_not_taken_away(tmp_path):
    out = tmp_path / "site"
    (out / "blocks").mkdir(parents=True)
    (out / "blocks" / "slider.js").write_text("mine")
    (out / "blocks" / "3.js").write_text("stale")
    made(out, MARKUPS[0])
    assert sorted(path.name for path in (out / "blocks").iterdir()) == ["0.js", "slider.js"]
    assert (out / "blocks" / "slider.js").read_text() == "mine"


def test_a_folder_of_other_files_is_refused_and_left_as_it_is(tmp_path):
    out = tmp_path / "letters"
    out.mkdir()
    (out / "will.txt").write_text("mine")
    with pytest.raises(PageError, match="holds files other than pages"):
        TablePage(out)
    assert [path.name for path in out.iterdir()] == ["will.txt"]


def test_a_file_in_the_folders_place_is_refused(tmp_path):
    (tmp_path / "notes").write_text("mine")
    with pytest.raises(PageError, match="is a file: name a folder"):
        TablePage(tmp_path / "notes")
    assert (tmp_path / "notes").read_text() == "mine"


def test_an_empty_folder_is_taken(tmp_path):
    assert made(tmp_path, MARKUPS[0]).parent == tmp_path


@pytest.mark.parametrize(
    ("name", "single"), [("a.html", True), ("a.HTM", True), ("a", False), ("a.jsonl", False), ("html", False)]
)
def test_one_file_is_known_by_its_name(name, single):
    assert is_single(Path(name)) == single


@pytest.mark.parametrize("name", ["one.html", "folder"])
def test_the_same_table_gives_the_same_bytes(tmp_path, name):
    def content(out: Path) -> dict[str, bytes]:
        made(out, *MARKUPS)
        files = [out] if out.is_file() else [path for path in out.rglob("*") if path.is_file()]
        return {path.name: path.read_bytes() for path in files}

    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    assert content(tmp_path / "a" / name) == content(tmp_path / "b" / name)


def test_a_hostile_name_is_text_in_the_table_and_above_it(tmp_path):
    hostile = '</script><script>alert(1)</script><!--"'
    heading = Heading(hostile, hostile, [Fact(hostile, hostile, gold=True)], gold=True)
    page = TablePage(tmp_path / "p.html")
    page.add(hostile, (hostile, 1), "<p></p>")
    text = page.write(heading, COLUMNS, blind=False).read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert text.count("<script") == text.count("</script>") == 3
    assert table_of(text)["rows"] == [[hostile, 1]]
    assert table_of(text)["ids"] == [hostile]


def test_blind_reading_hides_what_is_gold(tmp_path):
    heading = Heading("pilot", "", [Fact("3", "correct", gold=True)], gold=True)
    page = made(tmp_path / "p.html", "<p></p>", heading=heading, blind=True).read_text(encoding="utf-8")
    assert 'class="list blind"' in page
    assert '<li class="gold"><b>3</b> correct</li>' in page
    seen = made(tmp_path / "p.html", "<p></p>", heading=heading).read_text(encoding="utf-8")
    assert 'class="list"' in seen
