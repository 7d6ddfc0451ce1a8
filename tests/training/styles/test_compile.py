"""The compiler: what each style asks and answers, that nothing leaks, the same bytes for the same input."""

import asyncio
import hashlib
import json
import subprocess
import sys

import pytest
from journeys import CASE, FREE, STRAIGHT
from pydantic import ValidationError
from walks import LEG, plain_walk, walked

from ddxgraph import Case, GenerationStrategy, Trace
from ddxgraph.common.errors import CompileError
from ddxgraph.nodes.call.statement import stated
from ddxgraph.nodes.conclude import from_credence
from ddxgraph.nodes.generate import Generation, prompts_of
from ddxgraph.prompts.library import PromptSet
from ddxgraph.testing import ScriptedChatModel
from ddxgraph.training.styles.compile import (
    Sample,
    compile_journey,
    compile_samples,
)
from ddxgraph.training.styles.registry import style_names, style_of

TEXTS = ("longstep", "longmonolog", "shortcut", "cot")
ROLES = {"system": "system", "human": "user", "ai": "assistant"}


def straight(case: Case = CASE) -> Trace:
    script = STRAIGHT if case.options else {"conclude": {"justification": "so", "answer": "Pneumonia"}}
    return walked(script, case).trace


def refused(**changes) -> Trace:
    return straight().model_copy(update=changes)


STEPS = straight().steps
OTHER = STEPS[1].output.hypotheses[0].model_copy(update={"label": "Gout"})


@pytest.mark.parametrize("case", [CASE, FREE, LEG], ids=lambda case: case.id)
@pytest.mark.parametrize("style", TEXTS)
def test_the_user_side_is_what_the_strategy_puts_to_a_model(style, case):
    sample = compile_journey(straight(case) if case != LEG else plain_walk().trace, style)
    model = ScriptedChatModel(script={"generate": sample.messages[-1].content})
    trace = asyncio.run(GenerationStrategy(style=style_of(style).strategy)(case, model))
    received = [(ROLES[message.type], message.content) for message in model.requests[0].messages]
    assert [(message.role, message.content) for message in sample.messages[:-1]] == received
    assert sample.meta.prompt_hash == trace.provenance.prompt_set
    assert sample.messages[-1].role == "assistant"
    # And the reply is read as the strategy reads replies.
    assert trace.outcome == "answered"
    assert trace.answer == sample.meta.answer == stated(sample.messages[-1].content, case.options).answer


@pytest.mark.parametrize("style", TEXTS)
def test_other_prompts_are_taken(style, tmp_path):
    asked = style_of(style).strategy
    shipped = PromptSet(names=prompts_of(asked))
    for name in (*prompts_of(asked), "answer_line"):
        text = (shipped.folder / f"{name}.jinja").read_text(encoding="utf-8")
        (tmp_path / f"{name}.jinja").write_text(text + " Please.", encoding="utf-8")
    prompts = PromptSet(tmp_path, prompts_of(asked))
    sample = compile_journey(straight(), style, prompts=prompts)
    assert sample.messages[0].content.endswith("Please.")
    assert sample.messages[1].content.endswith("Please.")
    assert sample.meta.prompt_hash == prompts.hash != shipped.hash


@pytest.mark.parametrize("style", TEXTS)
def test_no_words_of_the_prompts_and_no_form_in_the_reply(style):
    trace = plain_walk().trace
    reply = compile_journey(trace, style).messages[-1].content
    for foreign in (
        "Stop:",
        "<data>",
        "<case>",
        "JSON",
        "verdict",
        '{"',
        "}",
        "F1",
        "H1",
        "recheck_evidence",
        "prior",
    ):
        assert foreign not in reply
    told = {line for step in trace.steps for line in step.prompt.split("\n") if len(line) > 20}
    assert told
    assert not any(line in reply for line in told)


def test_the_graphs_own_justification_is_no_word_of_the_model():
    end = STEPS[-1].output.model_copy(
        update={"justification": from_credence(CASE, {}, {"B": 1.0}).justification}
    )
    last = STEPS[-1].model_copy(update={"output": end, "text": "", "prompt": ""})
    trace = refused(steps=(*STEPS[:-1], last))
    assert "budget was spent" in end.justification
    for style in TEXTS:
        assert "budget" not in compile_journey(trace, style).messages[-1].content


def test_meta_says_where_a_sample_comes_from():
    trace = plain_walk().trace
    meta = compile_journey(trace, "longstep", 3).meta
    assert (meta.trace, meta.case, meta.sample, meta.style, meta.seed) == (trace.id, "leg", 0, "longstep", 3)
    assert (meta.model, meta.adapter, meta.tries, meta.part, meta.answer) == ("scripted", None, None, 0, "C")
    assert meta.triggers == {"self": len(trace.steps)}
    assert (meta.backtracks, meta.told_backtracks) == (2, 2)
    assert compile_journey(trace, "shortcut").meta.told_backtracks == 0
    assert meta.tokens == trace.usage


def test_a_sample_is_one_line_of_json():
    sample = compile_journey(plain_walk().trace, "longmonolog")
    line = sample.to_json()
    assert "\n" not in line
    assert set(json.loads(line)) == {"messages", "meta"}
    assert Sample.model_validate_json(line) == sample


@pytest.mark.parametrize("style", TEXTS)
def test_a_gold_or_label_trigger_is_seen(style):
    trace = plain_walk().trace
    step = trace.steps[6]
    marked = step.model_copy(update={"move": step.move.model_copy(update={"trigger": "gold"})})
    trace = trace.model_copy(update={"steps": (*trace.steps[:6], marked, *trace.steps[7:])})
    assert compile_journey(trace, style).meta.triggers["gold"] == 1


def with_output(place: int, **changes) -> Trace:
    output = STEPS[place].output.model_copy(update=changes)
    return refused(
        steps=(*STEPS[:place], STEPS[place].model_copy(update={"output": output}), *STEPS[place + 1 :])
    )


@pytest.mark.parametrize(
    ("trace", "why"),
    [
        (refused(outcome="unparsed", answer=None), "holds no answer"),
        (refused(outcome="error", answer="A"), "outcome 'error'"),
        (refused(answer="Z"), "no option of its case"),
        (refused(steps=STEPS[:-1]), "no concluding step"),
        (with_output(1, hypotheses=()), "differential does not hold"),
        (with_output(0, findings=()), "no reading of its history holds"),
        (with_output(1, hypotheses=(OTHER, *STEPS[1].output.hypotheses[1:])), "not named as option A"),
    ],
)
def test_what_cannot_be_compiled_is_refused(trace, why):
    for style in ("longstep", "longmonolog", "shortcut"):
        with pytest.raises(CompileError, match=why):
            compile_journey(trace, style)


def test_only_traversals_of_the_graph_compile():
    model = ScriptedChatModel(script={"generate": "so\nAnswer: B"})
    trace = asyncio.run(GenerationStrategy(style="cot")(CASE, model))
    assert isinstance(trace.steps[0].output, Generation)
    for style in style_names():
        with pytest.raises(CompileError, match="of the strategy 'cot'"):
            compile_journey(trace, style)


def test_wrong_arguments_are_named():
    trace = straight()
    with pytest.raises(
        ValueError, match="choose one of longstep, longmonolog, shortcut, straight, cot, graph"
    ):
        compile_journey(trace, "long")
    with pytest.raises(ValueError, match="not for shortcut"):
        compile_journey(trace, "shortcut", tries=2)
    with pytest.raises(ValueError, match="keep at least 2"):
        compile_journey(trace, "longstep", tries=1)


def test_names_that_would_not_be_found_again_are_refused():
    """An option that runs from one of our sentences into the model's words."""
    options = {"A": "then: gout", "B": "Pneumonia"}
    case = Case(vignette=CASE.vignette, options=options)
    thought = {"reasoning": "gout (A) it is", "weights": [], "missing": ""}
    script = {
        "conclude": {"justification": "so", "answer": "B"},
        "check_evidence": {**thought, "weights": []},
    }
    trace = walked(script, case).trace
    hard = [
        step.model_copy(update={"output": step.output.model_copy(update={"reasoning": "gout (A) it is"})})
        if step.node == "check_evidence"
        else step
        for step in trace.steps
    ]
    trace = trace.model_copy(update={"steps": tuple(hard)})
    refused = [str(error) for error in map(refusal, [trace] * 40, range(40)) if error]
    assert 0 < len(refused) < 40
    assert all("would not be found again" in told for told in refused)


def refusal(trace: Trace, seed: int) -> CompileError | None:
    try:
        compile_journey(trace, "longmonolog", seed)
    except CompileError as error:
        return error
    return None


def test_another_seed_another_wording_and_the_same_facts():
    trace = plain_walk().trace
    for style in ("longstep", "longmonolog"):
        texts = {compile_journey(trace, style, seed).messages[-1].content for seed in range(20)}
        assert len(texts) == 20
    assert len({compile_journey(trace, "cot", seed).messages[-1].content for seed in range(5)}) == 1


def test_samples_are_values():
    with pytest.raises(ValidationError):
        compile_journey(straight(), "cot").meta.seed = 1
    assert compile_samples(straight(), "cot") == (compile_journey(straight(), "cot"),)


def test_the_order_of_a_mapping_makes_no_difference():
    trace = plain_walk().trace
    turned = Trace.model_validate_json(json.dumps(_turned(json.loads(trace.to_json()))))
    for style in style_names():
        assert compile_journey(turned, style).to_json() == compile_journey(trace, style).to_json()


def _turned(value):
    if isinstance(value, dict):
        return {key: _turned(part) for key, part in reversed(value.items())}
    return [_turned(part) for part in value] if isinstance(value, list) else value


SCRIPT = """
import sys, hashlib
from ddxgraph import Trace
from ddxgraph.training.styles.compile import compile_samples
from ddxgraph.training.styles.registry import style_names
loaded = [name for name in ("numpy", "datasketch", "scipy") if name in sys.modules]
assert not loaded, loaded
trace = Trace.model_validate_json(sys.stdin.read())
told = [(style, seed) for style in style_names() for seed in (0, 1)]
text = "\\n".join(s.to_json() for style, seed in told for s in compile_samples(trace, style, seed))
print(hashlib.sha256(text.encode()).hexdigest())
"""


@pytest.mark.parametrize("hash_seed", ["1", "77"])
def test_the_same_bytes_in_every_process_and_no_heavy_import(hash_seed):
    trace = plain_walk().trace
    text = "\n".join(
        s.to_json() for style in style_names() for seed in (0, 1) for s in compile_samples(trace, style, seed)
    )
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input=trace.to_json(),
        env={"PYTHONHASHSEED": hash_seed, "PYTHONPATH": ":".join(sys.path)},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == hashlib.sha256(text.encode()).hexdigest()
