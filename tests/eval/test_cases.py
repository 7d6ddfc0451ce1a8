import codecs
import json
import re

import pytest

from ddxgraph.common.errors import CaseFileError
from ddxgraph.eval.cases import parse_cases, read_cases

OPTIONS = {"A": "Influenza", "B": "Pneumonia"}
ONE = {"id": "one", "vignette": "Fever.", "question": "Which?", "options": OPTIONS, "answer": "B"}
TWO = {"id": "two", "vignette": "Rash.", "answer": "Measles"}


def refusal(text: str | bytes, tmp_path) -> str:
    """What is said of a file with this content."""
    file = tmp_path / "cases.jsonl"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(CaseFileError) as refused:
        list(read_cases(file))
    said = str(refused.value)
    assert str(file) in said
    assert "\n" not in said
    return said


def both(tmp_path, content: bytes) -> None:
    """The file holds the two cases, whole."""
    file = tmp_path / "cases.jsonl"
    file.write_bytes(content)
    first, second = read_cases(file)
    assert (first.case.id, first.case.vignette, dict(first.case.options)) == ("one", "Fever.", OPTIONS)
    assert (second.case.id, second.case.vignette, second.case.letters) == ("two", "Rash.", ())
    assert [entry.gold.answer for entry in (first, second)] == ["B", "Measles"]


@pytest.mark.parametrize("name", ["nowhere.jsonl", "no/such/folder/x.json", "bad\0name", "x" * 300])
def test_a_missing_file_is_named(name, tmp_path):
    with pytest.raises(CaseFileError) as refused:
        list(read_cases(tmp_path / name))
    assert repr(str(tmp_path / name)) in str(refused.value)


def test_a_path_may_be_text(tmp_path):
    (tmp_path / "one.json").write_text(json.dumps(ONE), encoding="utf-8")
    assert [entry.case.id for entry in read_cases(str(tmp_path / "one.json"))] == ["one"]


def test_a_folder_is_no_case_file(tmp_path):
    with pytest.raises(CaseFileError, match="is a folder; give a case file"):
        list(read_cases(tmp_path))


@pytest.mark.parametrize(
    ("content", "byte"),
    [
        (json.dumps(TWO, ensure_ascii=False).replace("Rash", "Fi\u00e8vre").encode("latin-1"), 29),
        (codecs.BOM_UTF16_LE + json.dumps(ONE).encode("utf-16-le"), 0),
        (b"\x89PNG\r\n\x1a\n", 0),
        (b"\x1f\x8b\x08\x00", 1),
    ],
    ids=["latin-1", "utf-16", "picture", "gzip"],
)
def test_a_file_that_is_no_utf8_text_is_refused_with_the_place(content, byte, tmp_path):
    said = refusal(content, tmp_path)
    assert "is not UTF-8 text" in said
    assert f"at byte {byte})" in said


@pytest.mark.parametrize("content", [b"", b"  \n\n\t\r\n", codecs.BOM_UTF8])
def test_an_empty_file_says_what_it_must_hold(content, tmp_path):
    assert "empty; it must hold a case as a JSON object" in refusal(content, tmp_path)


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ("{", 1, 2),
        ('{"vignette": "Fever."', 1, 22),
        ('{"vignette": "Fever."}}', 1, 23),
        ("{'vignette': 'Fever.'}", 1, 2),
        ('{\n  "vignette": "Fever.",\n  "id": one\n}', 3, 9),
        ('{"vignette": "Fever.\nCough."}', 1, 21),
        ("Fever and cough.", 1, 1),
        ('"vignette": "Fever."', 1, 11),
    ],
)
def test_broken_json_is_placed_by_line_and_column(text, line, column, tmp_path):
    assert f"broken JSON at line {line}, column {column}: " in refusal(text, tmp_path)


@pytest.mark.parametrize("depth", [100_000, 1_000_000])
@pytest.mark.parametrize("more", ["", "\n" + json.dumps(ONE)], ids=["alone", "first of several lines"])
def test_json_that_is_nested_too_deeply_is_refused(depth, more, tmp_path):
    said = refusal('{"vignette": ' * depth + more, tmp_path)
    assert len(said) < 1_000


@pytest.mark.parametrize("number", ["1" * 5_000, "-" + "9" * 10_000])
def test_a_number_that_is_too_long_to_read_is_refused(number, tmp_path):
    said = refusal(f'{{"vignette": "Fever.", "id": {number}}}', tmp_path)
    assert len(said) < 1_000


@pytest.mark.parametrize("field", ["answer_idx", "Vignette", "stem", "gold", ""])
def test_an_unknown_field_is_named_with_the_known_ones(field, tmp_path):
    said = refusal(json.dumps({**ONE, field: "x"}), tmp_path)
    assert f"unknown field {field!r}" in said
    assert "id, vignette, question, options, source, split, answer" in said


def test_every_unknown_field_is_named(tmp_path):
    assert "unknown field 'stem', 'key'" in refusal(json.dumps({**ONE, "stem": 1, "key": 2}), tmp_path)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ('{"vignette": "Fever.", "vignette": "Rash."}', "vignette"),
        ('{"vignette": "Fever.", "options": {"A": "x", "B": "y", "A": "z"}}', "A"),
        ('{"answer": "A", "vignette": "Fever.", "options": {"A": "x", "B": "y"}, "answer": "B"}', "answer"),
    ],
)
def test_what_stands_twice_is_refused_and_named(text, key, tmp_path):
    assert f"{key!r} occurs twice in one object" in refusal(text, tmp_path)


@pytest.mark.parametrize("again", ["Influenza", "  Influenza\n", "Influenza.", "Influenza ."])
def test_options_with_the_same_text_are_refused(again, tmp_path):
    text = json.dumps({**ONE, "options": {**OPTIONS, "C": again}})
    assert "options A and C have the same text 'Influenza'" in refusal(text, tmp_path)


@pytest.mark.parametrize("options", [{"A": "AA", "B": "Aa", "C": "aa"}, {"A": "5 mg", "B": "5 mmol"}])
def test_options_that_differ_a_little_are_taken(options, tmp_path):
    (case, _), *_ = parse_cases(json.dumps({**ONE, "options": options}), "here")
    assert dict(case.options) == options


def test_what_stands_twice_in_a_line_is_refused_with_the_line(tmp_path):
    said = refusal(json.dumps(ONE) + '\n{"vignette": "Fever.", "vignette": "Rash."}', tmp_path)
    assert "line 2: 'vignette' occurs twice" in said


@pytest.mark.parametrize("answer", ["C", "b", "Pneumonia", "AB", "A or B"])
def test_an_answer_is_one_of_the_options(answer, tmp_path):
    said = refusal(json.dumps({**ONE, "answer": answer}), tmp_path)
    assert f"answer {answer!r} is none of the options A, B" in said


@pytest.mark.parametrize("answer", ["", "  ", 1, True, ["A"], {"A": 1}])
def test_an_answer_is_text(answer, tmp_path):
    assert "answer" in refusal(json.dumps({**ONE, "answer": answer}), tmp_path)


@pytest.mark.parametrize(
    ("fields", "place", "problem"),
    [
        ({"vignette": ""}, "vignette", "the vignette is empty"),
        ({"vignette": None}, "vignette", "valid string"),
        ({"vignette": 7}, "vignette", "valid string"),
        ({"vignette": "x" * 100_001}, "vignette", "100000"),
        ({"options": {"A": "Influenza"}}, "options", "one option is no choice"),
        ({"options": {"a": "x", "b": "y"}}, "options", "option letter 'a'"),
        ({"options": ["x", "y"]}, "options", "must map letters to texts"),
        ({"options": {"A": "x", "B": 2}}, "options.B", "valid string"),
        ({"options": {"A": "x", "B": " "}}, "options", "option B is empty"),
        ({"id": 12}, "id", "valid string"),
        ({"split": None}, "split", "valid string"),
    ],
)
def test_a_malformed_field_is_named_with_its_problem(fields, place, problem, tmp_path):
    said = refusal(json.dumps({**ONE, "answer": None, **fields}), tmp_path)
    assert f"{place}: " in said
    assert problem in said
    assert "pydantic" not in said
    assert len(said) < 1_000


def test_a_case_without_a_vignette_is_refused(tmp_path):
    assert "vignette: Field required" in refusal('{"question": "Which?"}', tmp_path)


@pytest.mark.parametrize(
    ("text", "kind"),
    [("[]", "list"), (json.dumps([ONE]), "list"), ('"Fever."', "str"), ("3", "int"), ("null", "NoneType")],
)
def test_a_case_is_an_object(text, kind, tmp_path):
    assert f"a case is a JSON object, not {kind}" in refusal(text, tmp_path)


def test_a_pretty_printed_list_of_cases_is_refused_as_a_list(tmp_path):
    said = refusal(json.dumps([ONE, TWO], indent=2), tmp_path)
    assert "a case is a JSON object, not list" in said


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        ("{", "broken JSON"),
        ("[1]", "not list"),
        ('{"vignette": ""}', "empty"),
        ('{"stem": "Fever."}', "unknown field 'stem'"),
        ('{"vignette": "Fever.", "options": {"A": "x", "B": "y"}, "answer": "C"}', "answer 'C'"),
        ('{"vignette": "Fever."} {"vignette": "Rash."}', "broken JSON"),
    ],
)
def test_a_bad_line_is_named_by_its_number(bad, problem, tmp_path):
    said = refusal("\n".join([json.dumps(ONE), "", json.dumps(TWO), bad, json.dumps(ONE)]), tmp_path)
    assert "line 4: " in said
    assert problem in said


def test_a_broken_line_is_placed_by_its_own_line_alone(tmp_path):
    said = refusal(json.dumps(ONE) + '\n{"vignette": }', tmp_path)
    assert re.findall(r"line (\d+)", said) == ["2"]
    assert "column 14" in said


def test_cases_before_a_bad_line_are_given(tmp_path):
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps(ONE) + "\n{", encoding="utf-8")
    cases = read_cases(file)
    assert next(cases).case.id == "one"
    with pytest.raises(CaseFileError, match="line 2"):
        next(cases)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\n\n", "\r\n \r\n", "\r"])
@pytest.mark.parametrize("bom", [b"", codecs.BOM_UTF8], ids=["", "BOM"])
@pytest.mark.parametrize("last", [True, False], ids=["ended", "open"])
def test_one_case_a_line_however_lines_end(end, bom, last, tmp_path):
    text = end.join([json.dumps(ONE), json.dumps(TWO)]) + (end if last else "")
    both(tmp_path, bom + text.encode())


@pytest.mark.parametrize("start", ["\n", "\r\n\r\n", "  \n"])
def test_blank_lines_at_the_start_are_skipped(start, tmp_path):
    both(tmp_path, f"{start}{json.dumps(ONE)}\n{json.dumps(TWO)}".encode())


@pytest.mark.parametrize("sign", ["\u2028", "\u2029", "\x85"], ids=["line", "paragraph", "next line"])
@pytest.mark.parametrize("place", [0, 1])
def test_a_line_separator_inside_a_text_ends_no_line(sign, place):
    cases = [dict(ONE), dict(TWO)]
    cases[place]["vignette"] = f"Fever{sign}and cough."
    text = "\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    entries = list(parse_cases(text, "text"))
    assert [entry.case.id for entry in entries] == ["one", "two"]
    assert entries[place].case.vignette == "Fever and cough."


@pytest.mark.parametrize("indent", [None, 0, 2, 4])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("bom", [b"", codecs.BOM_UTF8], ids=["", "BOM"])
def test_one_case_however_it_is_printed(indent, end, bom, tmp_path):
    file = tmp_path / "case.json"
    file.write_bytes(bom + json.dumps(ONE, indent=indent).replace("\n", end).encode() + end.encode())
    (entry,) = read_cases(file)
    assert (entry.case.id, entry.gold.answer) == ("one", "B")


def test_a_file_of_one_line_is_one_case(tmp_path):
    file = tmp_path / "cases.jsonl"
    file.write_text(json.dumps(TWO), encoding="utf-8")
    assert [entry.case.id for entry in read_cases(file)] == ["two"]


def test_all_scripts_are_read(tmp_path):
    file = tmp_path / "cases.jsonl"
    said = "发热三天 حمى बुखार 😷"
    file.write_text(json.dumps({"vignette": said}, ensure_ascii=False), encoding="utf-8")
    assert next(read_cases(file)).case.vignette == said


def test_the_gold_answer_is_kept_apart():
    (entry,) = parse_cases(json.dumps({**TWO, "answer": "Koplik's disease"}), "text")
    assert entry.gold.answer == "Koplik's disease"
    assert entry.gold.case == entry.case.id
    assert "Koplik" not in repr(entry.case) + entry.case.model_dump_json()


@pytest.mark.parametrize("answer", [{}, {"answer": None}])
def test_an_answer_may_be_absent(answer):
    case = {key: value for key, value in ONE.items() if key != "answer"}
    (entry,) = parse_cases(json.dumps({**case, **answer}), "text")
    assert entry.gold is None


def test_the_answer_has_no_part_in_the_case():
    cases = [next(parse_cases(json.dumps({"vignette": "Fever.", "answer": a}), "text")).case for a in "xy"]
    assert cases[0] == cases[1]


@pytest.mark.parametrize("case", [ONE, TWO])
def test_white_space_around_an_answer_is_no_part_of_it(case):
    (entry,) = parse_cases(json.dumps({**case, "answer": f" {case['answer']}\n"}), "text")
    assert entry.gold.answer == case["answer"]
