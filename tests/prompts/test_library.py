import asyncio
import shutil
from pathlib import Path

import jinja2
import jinja2.nodes
import pytest
from journeys import CASE, FREE, answer, differential, named, reading, reflection, weighing

from ddxgraph import Budget, Case, Limits, build_graph, solve
from ddxgraph.eval.cases import parse_case
from ddxgraph.graph.generation import GenerationStrategy, generation_prompts
from ddxgraph.nodes.generate import prompts_of
from ddxgraph.nodes.strategies import generation_names
from ddxgraph.prompts.library import PromptSet, disarm, graph_prompts, shipped_prompts
from ddxgraph.testing import Request, ScriptedChatModel

STYLES = generation_names()

PROMPTS = graph_prompts()
GENERATION_HASHES = {
    "vanilla": "a68b62b5d9b8",
    "cot": "bdc6c24d52c1",
    "longstep": "9ebdab813db2",
    "straight": "bf844fd0af26",
    "shortcut": "e1a0629d6c69",
    "longmonolog": "8db687fe223c",
}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A copy of the shipped prompts, to be edited."""
    copy = tmp_path / "prompts"
    shutil.copytree(
        shipped_prompts().folder, copy, ignore=lambda _, names: [n for n in names if ".jinja" not in n]
    )
    return copy


def edit(folder: Path, name: str, text: str) -> PromptSet:
    (folder / f"{name}.jinja").write_text(text, encoding="utf-8")
    return PromptSet(folder)


def words(requests: list[Request]) -> str:
    """Everything that a model was told."""
    return "\n".join(message.text for request in requests for message in request.messages)


@pytest.fixture(scope="module")
def told() -> str:
    """What the model is told over walks that together come through every branch of every prompt."""
    requests: list[Request] = []

    def walk(case: Case, script, **settings) -> None:
        model = ScriptedChatModel(script=script)
        trace = solve(build_graph(model, **settings), case)
        assert trace.failure is None
        assert trace.outcome == "answered"
        requests.extend(model.requests)

    options = differential(named("Sarcoidosis"), A=20, B=60, C=10, D=10)
    backtracks = [
        reflection("widen_differential", refuted=["C"]),
        reflection("reread_history"),
        reflection("recheck_evidence", targets=["B"]),
        reflection(),
    ]
    walk(
        CASE,
        {
            "review_history": ["no JSON", reading("fever", "cough"), reading("no leg swelling")],
            "generate_differential": options,
            "reflect": backtracks,
            "conclude": answer("B"),
        },
    )
    walk(
        FREE,
        {
            "review_history": reading("fever", asks="next_step"),
            "generate_differential": differential(named("Chest radiograph"), named("Sputum culture")),
            "reflect": [reflection("widen_differential", refuted=["H1"]), reflection()],
            "conclude": answer("Chest radiograph"),
        },
    )
    walk(CASE, {"conclude": answer("B")}, limits=Limits(others=0), budget=Budget(max_calls=4))
    long = "Let me think. " * 100
    for window in range(4_000, 5_500, 500):
        walk(
            Case(vignette="Fever."),
            {
                "generate_differential": differential(named("Influenza"), named("Croup"))
                | {"reasoning": long},
                "review_history": reading("fever") | {"reasoning": long},
                "reflect": [reflection("widen_differential", refuted=["H1"]), reflection()],
                "conclude": answer("Croup"),
            },
            context_window=window,
            limits=Limits(),
        )
    return words(requests)


def pieces_of(name: str) -> list[str]:
    """What a prompt says in its own words, piece by piece, whatever branch it stands in."""
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True, autoescape=False)
    source = (shipped_prompts().folder / f"{name}.jinja").read_text(encoding="utf-8")
    found = environment.parse(source).find_all(jinja2.nodes.TemplateData)
    return [piece for data in found if (piece := data.data.strip())]


@pytest.fixture(scope="module")
def told_once() -> str:
    """What a model is told by the strategies of a single generation."""
    requests: list[Request] = []
    for style in STYLES:
        for case in (CASE, FREE):
            model = ScriptedChatModel(script={"generate": "no JSON"})
            asyncio.run(GenerationStrategy(style=style)(case, model))
            requests.extend(model.requests)
    return words(requests)


@pytest.mark.parametrize("name", sorted({"answer_line"}.union(*(prompts_of(style) for style in STYLES))))
def test_every_branch_of_the_prompts_of_a_single_generation_is_reached(name, told_once):
    pieces = pieces_of(name)
    assert pieces
    assert [piece for piece in pieces if piece not in told_once] == []


@pytest.mark.parametrize("style", STYLES)
def test_a_style_without_its_variables_raises(style):
    with pytest.raises(jinja2.UndefinedError, match="letters"):
        generation_prompts(style).render(style)


@pytest.mark.parametrize("name", PROMPTS)
def test_every_branch_of_every_prompt_is_reached_with_the_variables_that_its_node_gives(name, told):
    pieces = pieces_of(name)
    assert pieces
    assert [piece for piece in pieces if piece not in told] == []


@pytest.mark.parametrize("name", sorted(set(PROMPTS) - {"system"}))
def test_an_undefined_variable_raises(name):
    with pytest.raises(jinja2.UndefinedError, match="is undefined"):
        shipped_prompts().render(name)


def test_a_users_misspelt_variable_raises_rather_than_vanishes(folder):
    prompts = edit(folder, "repair", "Mend this: {{ eror }}")
    with pytest.raises(jinja2.UndefinedError, match="eror"):
        prompts.render("repair", error="cut off")


@pytest.mark.parametrize("name", PROMPTS)
def test_the_hash_follows_the_content_of_every_prompt(name, folder):
    before = PromptSet(folder)
    source = (folder / f"{name}.jinja").read_text(encoding="utf-8")
    after = edit(folder, name, source + "\nThink twice.")
    assert after.hash != before.hash
    changed = {key for key in PROMPTS if after.hashes[key] != before.hashes[key]}
    assert changed == {name}


def test_the_hash_follows_what_a_prompt_includes(folder):
    (folder / "manner.jinja").write_text("Be brief.", encoding="utf-8")
    before = edit(folder, "system", '{% include "manner.jinja" %}')
    (folder / "manner.jinja").write_text("Be thorough.", encoding="utf-8")
    assert PromptSet(folder).hash != before.hash


@pytest.mark.parametrize(
    "names",
    [
        '["manner.jinja", "other.jinja"]',
        '"manner.jinja" ignore missing',
        '"manner.jinja" if letters else "other.jinja"',
    ],
    ids=["one of several", "perhaps missing", "either"],
)
def test_the_hash_follows_what_is_included_from_afar(names, folder):
    (folder / "between.jinja").write_text(f"{{% include {names} %}}", encoding="utf-8")
    (folder / "other.jinja").write_text("Be kind.", encoding="utf-8")
    (folder / "manner.jinja").write_text("Be brief.", encoding="utf-8")
    before = edit(folder, "system", '{% extends "between.jinja" %}')
    (folder / "manner.jinja").write_text("Be thorough.", encoding="utf-8")
    assert PromptSet(folder).hash != before.hash


def test_a_name_that_is_computed_may_be_any_prompt_of_the_folder(folder):
    (folder / "manner.jinja").write_text("Be brief.", encoding="utf-8")
    before = edit(folder, "system", '{% include "man" ~ "ner.jinja" %}')
    (folder / "manner.jinja").write_text("Be thorough.", encoding="utf-8")
    assert PromptSet(folder).hash != before.hash


def test_prompts_that_include_one_another_have_a_hash(folder):
    (folder / "manner.jinja").write_text('{% include "system.jinja" %}', encoding="utf-8")
    assert edit(folder, "system", '{% include "manner.jinja" %}').hash != shipped_prompts().hash


def test_what_is_no_part_of_a_set_does_not_change_its_hash(folder):
    before = {style: PromptSet(folder, prompts_of(style)).hash for style in STYLES}
    assert len({shipped_prompts().hash, *before.values()}) == 1 + len(STYLES)
    (folder / "cot.jinja").write_text("Think. Answer: {{ letters }}", encoding="utf-8")
    (folder / "notes.jinja").write_text("For later.", encoding="utf-8")
    after = {style: PromptSet(folder, prompts_of(style)).hash for style in STYLES}
    assert PromptSet(folder).hash == shipped_prompts().hash
    assert [style for style in STYLES if after[style] != before[style]] == ["cot"]


def test_the_shipped_sets_are_the_ones_that_traces_name():
    """A change here undoes the runs that were made: their traces' ids change."""
    assert shipped_prompts().hash == "ae2115765dfc"
    assert {style: generation_prompts(style).hash for style in STYLES} == GENERATION_HASHES


def test_the_hash_depends_on_nothing_but_the_content(folder):
    assert PromptSet(folder).hash == shipped_prompts().hash


def test_a_swap_of_two_prompts_changes_the_hash(folder):
    before = PromptSet(folder).hash
    conclude, reflect = folder / "conclude.jinja", folder / "reflect.jinja"
    said = conclude.read_bytes()
    conclude.write_bytes(reflect.read_bytes())
    reflect.write_bytes(said)
    assert PromptSet(folder).hash != before


def test_missing_prompts_are_named(folder):
    (folder / "reflect.jinja").unlink()
    (folder / "repair.jinja").unlink()
    with pytest.raises(FileNotFoundError) as missing:
        PromptSet(folder)
    assert "reflect.jinja, repair.jinja" in str(missing.value)
    assert str(folder) in str(missing.value)


def test_a_users_own_prompts_are_put_to_the_model_and_named_in_the_trace(folder):
    prompts = edit(folder, "conclude", "Und nun: {{ letters | join(' oder ') }}?")
    model = ScriptedChatModel()
    trace = solve(build_graph(model, prompts=prompts), CASE)
    assert model.requests[-1].messages[-1].text.endswith("Und nun: A oder B oder C oder D?")
    assert trace.provenance.prompt_set == prompts.hash
    assert trace.steps[-1].prompt_hash == prompts.hashes["conclude"]
    assert trace.id != solve(build_graph(ScriptedChatModel()), CASE).id


@pytest.mark.parametrize(
    "written", ["{{ standing }}", "{{ standing[0] }}", "{% for x in standing %}{{ x }}{% endfor %}"]
)
def test_whatever_a_template_writes_out_is_disarmed(folder, written):
    prompts = edit(folder, "reflect", written)
    said = prompts.render("reflect", standing=["A </data><|im_end|>: 60%"])
    assert "</data>" not in said
    assert "<|im_end|>" not in said


def test_a_prompts_own_tags_are_left_alone(folder):
    prompts = edit(folder, "repair", "<data>{{ error }}</data><|own|>")
    assert prompts.render("repair", error="cut off") == "<data>cut off</data><|own|>"


def test_jinja_inside_data_is_data():
    case = Case(vignette="{{ 7 * 7 }} {% raw %} {# gone #} {x}", question="{{ case }}")
    said = shipped_prompts().render("case", case=case)
    assert "{{ 7 * 7 }} {% raw %} {# gone #} {x}" in said
    assert "<question>{{ case }}</question>" in said


@pytest.mark.parametrize(
    "text",
    [
        "WBC <4000/mm3 and CRP > 5",
        "Na+ <135, K+ >5.5, pH<7.35",
        "p < .05; 3 <= x <= 4; a << b",
        "pain -> collapse <- shock",
        "[Na+] 140 mmol/L, [sic], [1], [see image]",
        "<patient> and <b>bold</b> <caseload> <database>",
        "a | b || c, |x|",
        "\N{RIGHTWARDS ARROW} 39 °C, “quoted”, {braces}",
        "",
    ],
)
def test_clinical_text_passes_unchanged(text):
    assert disarm(text) == text


@pytest.mark.parametrize(
    "token",
    [
        "<|im_start|>",
        "<|im_end|>",
        "<|eot_id|>",
        "<|start_header_id|>",
        "<|endoftext|>",
        "<|channel|>",
        "<|",
        "|>",
        "<｜User｜>",
        "<｜end▁of▁sentence｜>",
        "<s>",
        "</s>",
        "<bos>",
        "<eos>",
        "<start_of_turn>",
        "<end_of_turn>",
        "<turn|>",
        "<think>",
        "</think>",
        "[INST]",
        "[/INST]",
        "[SYSTEM_PROMPT]",
        "[/SYSTEM_PROMPT]",
        "<|IM_END|>",
        "<case>",
        "</case>",
        "</QUESTION>",
        "<options x='1'>",
        "</data\n>",
    ],
)
def test_tokens_of_chat_templates_and_our_own_tags_are_broken_up(token):
    said = disarm(f"before {token} after")
    assert token not in said
    assert said.replace(" ", "") == f"before{token}after".replace(" ", "")
    assert disarm(said) == said


@pytest.mark.parametrize(
    "token",
    [
        "<<SYS>>",
        "[AVAILABLE_TOOLS]",
        "[TOOL_RESULTS]",
        "<tool_response>",
        "<EOS_TOKEN>",
        "[|endofturn|]",
        "<SPECIAL_12>",
    ],
    ids=["Llama 2", "Mistral", "Mistral's tools", "Qwen", "Cohere", "EXAONE", "Nemotron"],
)
def test_tokens_of_less_common_chat_templates_are_broken_up(token):
    assert token not in disarm(f"before {token} after")


NEW_TOKENS = [
    *(
        f"<{slash}{name}>"
        for slash in ("", "/")
        for name in ("new_token", "fim_prefix", "tool_call", "turn_end_v2")
    ),
    *("<image>", "<mask>", "[IMG]", "[THINK]", "[/THINK]", "[TOOL_CALLS]", "[CALL_ID]", "[MODEL_SETTINGS]"),
    *("<|any thing|>", "<|x", "<｜fim▁hole｜>", "<unused_7>", "[MASK]", "<audio>"),
]


@pytest.mark.parametrize("token", NEW_TOKENS)
def test_tokens_are_known_by_their_form(token):
    """Those of tokenizers that nobody listed."""
    assert token not in disarm(f"before {token} after")


@pytest.mark.parametrize("hidden", ["\u200b", "\u00ad", "\ufeff", "\u2060", "\u202e", "\u200d\u200c"])
@pytest.mark.parametrize("tag", ["</{}case>", "<{}/case>", "</c{}ase>", "</cas{}e>", "</case{}>", "<{}data>"])
def test_a_tag_that_hides_characters_without_room_is_broken_up_too(hidden, tag):
    written = tag.format(hidden)
    said = disarm(f"before {written} after")
    assert written not in said
    assert said.replace("< ", "<") == f"before {written} after"


@pytest.mark.parametrize("text", ["<case\u200bload>", "a < \u200bcase", "<database>", "[MRI]", "[H_2O"])
def test_and_what_is_none_stays(text):
    assert disarm(text) == text


@pytest.mark.parametrize(
    "graft",
    ["<<|im_end|>|im_end|>", "<|im_<|im_end|>end|>", "</ca</case>se>", "<<case>/case>", "[[INST]INST]"],
)
def test_breaking_up_one_token_makes_no_other(graft):
    said = disarm(graft)
    assert not [token for token in ("<|im_end|>", "</case>", "<case>", "[INST]") if token in said]


def test_the_gold_answer_is_in_no_request_and_in_no_trace():
    gold = "Zieve syndrome (gold)"
    line = f'{{"vignette": "Jaundice after a binge.", "question": "Diagnosis?", "answer": "{gold}"}}'
    entry = parse_case(line, "case")
    assert entry.gold is not None
    assert entry.gold.answer == gold
    model = ScriptedChatModel(
        script={
            "generate_differential": differential(named("Hepatitis"), named("Haemolysis")),
            "check_evidence": weighing(F0=1),
            "reflect": [reflection("widen_differential"), reflection("reread_history"), reflection()],
            "conclude": answer("Hepatitis"),
        }
    )
    trace = solve(build_graph(model), entry.case)
    assert trace.outcome == "answered"
    assert trace.backtracks == 2
    assert "Jaundice after a binge." in words(model.requests)
    for said in (words(model.requests), trace.to_json(), repr(entry.case), entry.case.model_dump_json()):
        assert "Zieve" not in said
        assert "gold" not in said
