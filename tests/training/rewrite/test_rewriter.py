"""Rewriting on a scripted model: what is asked, what is accepted, what is kept, and what failures are worth."""

import asyncio
import re
from collections.abc import Callable, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from journeys import (
    AT_ONCE,
    CASE,
    STRAIGHT,
    differential,
    named,
    prompt_of,
    reading,
    reflection,
    weighing,
)
from langchain_core.exceptions import ModelConnectionError
from langchain_core.messages import AIMessage

from ddxgraph import Trace, build_graph, solve
from ddxgraph.common.errors import RewritesUnfinished
from ddxgraph.common.jsonl import split_checksum
from ddxgraph.nodes.settings import Sampling
from ddxgraph.prompts.library import PromptSet
from ddxgraph.testing import Request, ScriptedChatModel
from ddxgraph.training.rewrite.check import Fault, FaultKind
from ddxgraph.training.rewrite.rewriter import (
    PROMPTS,
    Draft,
    Rewriter,
    Rewritten,
    draft_of,
    points_of,
    retold,
    rewrite,
    summary_of,
    withdrawn,
)
from ddxgraph.training.rewrite.store import REWRITES, RewriteLog, read_rewrites
from ddxgraph.training.styles.compile import compile_journey

DETOUR: dict[str, Any] = {
    **STRAIGHT,
    "generate_differential": [
        differential(A=30, B=50, C=10, D=10),
        differential(named("Tuberculosis", 20), A=1, B=60, C=1, D=9),
    ],
    "reflect": [
        reflection("recheck_evidence", refuted=["A"], targets=["B"]),
        reflection("widen_differential", refuted=["C"]),
        reflection("reread_history"),
        reflection(),
    ],
    "check_evidence:H1": weighing(F1=-1),
    "review_history": [reading("fever"), reading("productive cough")],
}
"""All three kinds of moves back, two refutations, a hypothesis beside the options."""


def walked(sample: int = 0) -> Trace:
    trace = solve(build_graph(ScriptedChatModel(script=DETOUR)), CASE)
    return trace.model_copy(update={"id": f"{sample:016x}", "sample": sample})


@pytest.fixture(scope="module")
def traces() -> Sequence[Trace]:
    return [walked(sample) for sample in range(6)]


@pytest.fixture(scope="module")
def drafts(traces) -> Sequence[Draft]:
    return [draft_of(trace, compile_journey(trace, "longmonolog")) for trace in traces]


WORDS = (
    (r"^What is wanted|^First, what do they want from me\?", "So, what am I asked?"),
    (r"\bI notice\b|\bI underline\b", "I see"),
    (r"\bHmm, ", "Well, "),
    (r"\bHold on\. ", "One moment. "),
    (r"\bI consider\b", "I think of"),
    (r" strongly supports it\.", " argues strongly for it."),
    (r" supports it\.", " argues for it."),
    (r"\bNow let me test\b", "Let me try"),
    (r"\bI turn to\b", "I come to"),
    (r" — (.*?) —", r" (\1)"),
)


def paraphrased(text: str) -> str:
    """A text in slightly other words, the way a careful model would do it."""
    body, _, line = text.rpartition("\n\n")
    for pattern, words in WORDS:
        body = re.sub(pattern, words, body)
    return f"All right, let me think aloud.\n\n{body}\n\n{line}"


def template_in(request: Request) -> str:
    found = re.search(r"<data>\n(.*?)\n</data>", prompt_of(request), re.DOTALL)
    assert found
    return found[1]


def careful(request: Request) -> str:
    return paraphrased(template_in(request))


def careless(request: Request) -> str:
    """Leaves out whatever is given up."""
    paragraphs = paraphrased(template_in(request)).split("\n\n")
    return "\n\n".join(re.sub(r"[^.]*\bInfluenza\b[^.]*\.", "", one) for one in paragraphs)


def rewriting(said: Any, **settings: Any) -> Rewriter:
    model = ScriptedChatModel(script={"rewrite": said}, model_name=settings.pop("name", "a-model"))
    return Rewriter(model, patience=AT_ONCE, **settings)


def requests_of(chosen: Rewriter) -> list[Request]:
    model = chosen.wording.model
    assert isinstance(model, ScriptedChatModel)
    return model.requests


def passed(drafts: Sequence[Draft], chosen: Rewriter, folder: Path, **settings: Any) -> dict[str, Rewritten]:
    async def work() -> list[Rewritten]:
        with RewriteLog(folder) as log:
            async with aclosing(rewrite(drafts, chosen, log, **settings)) as found:
                return [one async for one in found]

    return {one.trace: one for one in asyncio.run(work())}


def test_a_careful_rewriting_is_accepted(drafts, tmp_path):
    found = passed(drafts, rewriting(careful), tmp_path)
    assert [found[draft.trace].accepted for draft in drafts] == [True] * len(drafts), found
    for draft in drafts:
        assert found[draft.trace].text == paraphrased(draft.text) != draft.text
        assert found[draft.trace].faults == ()


def test_a_careless_one_leaves_the_template(drafts, tmp_path):
    chosen = rewriting(careless)
    found = passed(drafts, chosen, tmp_path)
    for draft in drafts:
        one = found[draft.trace]
        assert (one.text, one.accepted, one.tries) == (draft.text, False, 2)
        assert {FaultKind.HYPOTHESIS_MISSING, FaultKind.REFUTATION_MISSING} <= {
            fault.kind for fault in one.faults
        }
    told = summary_of(found.values())
    assert (told.asked, told.accepted, told.share, told.tries) == (6, 0, 0.0, 12)
    assert told.refusals["refutation_missing"] == 6
    assert told.usage.calls == 12
    assert told.usage.completion_tokens > 0


def test_the_second_try_is_told_why_the_first_was_refused(drafts, tmp_path):
    chosen = rewriting([careless, careful], sampling=Sampling(temperature=0.3, seed=7))
    one = passed(drafts[:1], chosen, tmp_path)[drafts[0].trace]
    assert (one.accepted, one.tries, one.usage.calls) == (True, 2, 2)
    first, second = requests_of(chosen)
    assert "was refused" not in prompt_of(first)
    assert "- refutation missing: Influenza" in prompt_of(second)
    assert [request.options["seed"] for request in (first, second)] == [7, 8]
    assert [request.options["temperature"] for request in (first, second)] == [0.3, 0.3]


def test_the_model_is_shown_the_monologue_and_nothing_else(drafts, traces, tmp_path):
    chosen = rewriting(careful)
    passed(drafts[:1], chosen, tmp_path)
    (request,) = requests_of(chosen)
    told = prompt_of(request)
    assert template_in(request) == drafts[0].text
    assert CASE.vignette not in told
    assert CASE.question not in told
    assert "`Answer: B`" in told
    for point in points_of(drafts[0].journey, CASE.options):
        assert point in told


def test_the_points_are_the_journeys_own(drafts):
    points = points_of(drafts[0].journey, CASE.options)
    assert points[:4] == [
        f"Name {name} as a hypothesis."
        for name in ("Influenza (A)", "Pneumonia (B)", "Asthma (C)", "Heart failure (D)")
    ]
    kept = [point for point in points if point.startswith(("Rule", "Go", "Settle"))]
    assert kept == [
        "Rule out Influenza (A).",
        "Go back to the evidence for Pneumonia (B).",
        "Rule out Asthma (C).",
        "Go back to the list of candidates.",
        "Go back to the history.",
        "Settle on Pneumonia (B).",
    ]


def test_again_asks_nothing_and_changes_nothing(drafts, tmp_path):
    first = passed(drafts, rewriting([careless, careful, careful, careless]), tmp_path, concurrency=3)
    before = (tmp_path / REWRITES).read_bytes()
    again = rewriting(ModelConnectionError("refused"))
    assert passed(drafts, again, tmp_path) == first
    assert requests_of(again) == []
    assert (tmp_path / REWRITES).read_bytes() == before


def test_what_is_on_record_is_checked_again(drafts, tmp_path):
    passed(drafts[:1], rewriting(careful), tmp_path)
    path = tmp_path / REWRITES
    record, _ = split_checksum(path.read_bytes().replace(b"Influenza", b"Gout"))
    path.write_bytes(record + b"\n")
    chosen = rewriting(careful)
    one = passed(drafts[:1], chosen, tmp_path)[drafts[0].trace]
    assert (one.accepted, one.tries, len(requests_of(chosen))) == (True, 2, 1)
    assert "Gout" not in one.text


@pytest.mark.parametrize(
    "other",
    [
        {"name": "b-model"},
        {"sampling": Sampling(temperature=0.1, seed=0)},
        {"prompts": PromptSet(names=(*PROMPTS, "judge"))},
    ],
    ids=["model", "sampling", "prompts"],
)
def test_another_rewriter_begins_anew(other, drafts, tmp_path):
    passed(drafts[:1], rewriting(careful), tmp_path)
    chosen = rewriting(careful, **other)
    passed(drafts[:1], chosen, tmp_path)
    assert len(requests_of(chosen)) == 1
    assert len({one.rewriter for one in read_rewrites(tmp_path / REWRITES)}) == 2


def test_another_template_begins_anew(drafts, traces, tmp_path):
    passed(drafts[:1], rewriting(careful), tmp_path)
    chosen = rewriting(careful)
    passed([draft_of(traces[0], compile_journey(traces[0], "longmonolog", seed=1))], chosen, tmp_path)
    assert len(requests_of(chosen)) == 1


def cut(request: Request) -> AIMessage:
    return AIMessage(careful(request), response_metadata={"finish_reason": "length"})


@pytest.mark.parametrize(
    ("said", "fault"),
    [
        (template_in, "unchanged"),
        (cut, "cut_off"),
        ("", "no_answer"),
        (lambda request: f"Here is the rewritten text:\n\n{careful(request)}", "speaks_of_itself"),
        (ValueError("the prompt exceeds the context"), "no_room"),
    ],
    ids=["unchanged", "cut", "empty", "preface", "window"],
)
def test_why_a_reply_is_refused(said, fault, drafts, tmp_path):
    one = passed(drafts[:1], rewriting(said, attempts=1), tmp_path)[drafts[0].trace]
    assert (one.accepted, one.text) == (False, drafts[0].text)
    assert fault in {fault.kind.value for fault in one.faults}


def test_the_thoughts_of_a_reasoning_model_are_no_part_of_its_text(drafts, tmp_path):
    chosen = rewriting(lambda request: f"<think>\nInfluenza? Answer: C\n</think>\n\n{careful(request)}")
    one = passed(drafts[:1], chosen, tmp_path)[drafts[0].trace]
    assert (one.accepted, one.text) == (True, paraphrased(drafts[0].text))


def only(wanted: Callable[[int], bool]) -> Callable[[Request], Any]:
    """Answers some requests, by their number, and breaks at the others."""
    count = -1

    def reply(request: Request) -> Any:
        nonlocal count
        count += 1
        return careful(request) if wanted(count) else ModelConnectionError("refused")

    return reply


def test_an_engine_that_fails_is_no_refusal(drafts, tmp_path):
    broken = rewriting(only(lambda number: number in {0, 3}))
    with pytest.raises(
        RewritesUnfinished, match=r"no reply to 4 monologues .*refused.*none of them is counted"
    ):
        passed(drafts, broken, tmp_path, concurrency=1)
    assert len(list(read_rewrites(tmp_path / REWRITES))) == 2
    whole = rewriting(careful)
    found = passed(drafts, whole, tmp_path)
    assert len(requests_of(whole)) == 4
    assert summary_of(found.values()).accepted == 6


def test_an_engine_that_always_fails_is_not_asked_for_ever(drafts, tmp_path):
    many = [draft._replace(trace=f"{number:016x}") for number in range(40) for draft in drafts[:1]]
    broken = rewriting(ModelConnectionError("refused"))
    with pytest.raises(RewritesUnfinished):
        passed(many, broken, tmp_path, concurrency=4)
    assert 16 <= len(requests_of(broken)) < 24


def test_a_file_that_cannot_be_written_ends_the_pass(drafts, tmp_path):
    async def work() -> None:
        log = RewriteLog(tmp_path)
        log.close()
        async for _ in rewrite(drafts, rewriting(careful), log):
            pass

    with pytest.raises(ValueError, match="is closed"):
        asyncio.run(work())


async def test_a_stop_begins_nothing_new_and_keeps_what_was_said(drafts, tmp_path):
    stop = asyncio.Event()

    def once(request: Request) -> str:
        stop.set()
        return careful(request)

    with RewriteLog(tmp_path) as log:
        found = [one async for one in rewrite(drafts, rewriting(once), log, concurrency=1, stop=stop)]
    assert len(found) == len(list(read_rewrites(tmp_path / REWRITES))) == 1


class Endless(ScriptedChatModel):
    """Never comes to an end."""

    async def ainvoke(self, *args: Any, **kwargs: Any) -> AIMessage:
        await asyncio.Event().wait()
        raise AssertionError


async def test_what_does_not_end_after_a_stop_is_dropped(drafts, tmp_path):
    stop = asyncio.Event()
    stop_soon = asyncio.get_running_loop().call_soon
    with RewriteLog(tmp_path) as log:
        stop_soon(stop_soon, stop.set)
        chosen = Rewriter(Endless(), patience=AT_ONCE)
        found = [one async for one in rewrite(drafts, chosen, log, stop=stop, grace_s=0)]
    assert found == []


def test_a_sample_takes_its_text_and_keeps_the_rest(drafts, traces, tmp_path):
    chosen = rewriting(careful)
    one = passed(drafts[:1], chosen, tmp_path)[drafts[0].trace]
    sample = compile_journey(traces[0], "longmonolog")
    told = retold(sample, one)
    assert told.messages[:-1] == sample.messages[:-1]
    assert told.messages[-1].content == one.text


def test_one_that_is_withdrawn_leaves_the_template_and_counts_as_refused(drafts, tmp_path):
    first, second = passed(drafts[:2], rewriting(careful), tmp_path).values()
    fault = Fault(kind=FaultKind.TEST_QUESTION, about="test-1")
    template = next(draft.text for draft in drafts if draft.trace == first.trace)
    gone = withdrawn(first, template, fault)
    assert (gone.text, gone.accepted, gone.faults) == (template, False, (fault,))
    assert (gone.trace, gone.tries, gone.usage) == (first.trace, first.tries, first.usage)
    told = summary_of([gone, second])
    assert (told.asked, told.accepted, told.refusals) == (2, 1, {"test_question": 1})


def test_only_its_own_monologue_can_be_rewritten(traces):
    with pytest.raises(ValueError, match="only the 'longmonolog' sample of trace"):
        draft_of(traces[0], compile_journey(traces[0], "longstep"))
    with pytest.raises(ValueError, match="only the 'longmonolog' sample of trace"):
        draft_of(traces[0], compile_journey(traces[1], "longmonolog"))


def test_no_tries_are_refused():
    with pytest.raises(ValueError, match="allow 1 or more"):
        Rewriter(ScriptedChatModel(), attempts=0)


def test_nothing_to_rewrite(tmp_path):
    assert passed([], rewriting(careful), tmp_path) == {}
    assert summary_of([]).share is None
