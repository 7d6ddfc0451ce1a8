"""A manifest says which run it is: what changes the run is named, and what does not is left alone."""

from types import SimpleNamespace

import pytest
from journeys import CASE, FREE, VIGNETTE

from ddxgraph import Budget, Case
from ddxgraph.batch.manifest import CaseSet, Manifest, Selection, case_set, manifest
from ddxgraph.common.errors import CaseConflict
from ddxgraph.graph.strategy import GraphStrategy
from ddxgraph.graph.trace import Provenance, StrategySettings
from ddxgraph.nodes.settings import Sampling
from ddxgraph.testing import ScriptedChatModel

HASH = "0123456789abcdef" * 4
OTHER_HASH = "f" * 64

RUN = Manifest(
    cases=CaseSet(count=2, sha256=HASH),
    samples=1,
    selection=Selection(
        benchmark="medqa", split="dev", shuffle=3, subset="step1", limit=40, size=1_272, sha256=HASH
    ),
    strategy=StrategySettings(context_window=8_192, reply_tokens=512),
    provenance=Provenance(
        model="meta-llama/Llama-3.1-8B-Instruct",
        adapter="loop-1",
        adapter_sha256=HASH,
        engine="vllm 0.32.0",
        sampling={"temperature": 0.7, "seed": 0},
        prompt_set="aa11",
        code_version="0.1.0",
    ),
    created_at="2026-01-01T00:00:00+00:00",
)


def changed(field: str, value: object) -> Manifest:
    """The run with another value at a dotted path."""
    tree = RUN.model_dump(mode="json")
    *path, last = field.split(".")
    place = tree
    for key in path:
        place = place[key]
    place[last] = value
    return Manifest.model_validate(tree)


CHANGES = {
    "cases.count": (3, "was 2, now 3"),
    "cases.sha256": (OTHER_HASH, "was 0123456789abcdef..., now ffffffffffffffff..."),
    "samples": (4, "was 1, now 4"),
    "selection.split": ("test", "was dev, now test"),
    "selection.limit": (None, "was 40, now not there"),
    "strategy.name": ("vote", "was graph, now vote"),
    "strategy.budget.max_calls": (7, f"was {Budget().max_calls}, now 7"),
    "strategy.context_window": (None, "was 8192, now not there"),
    "provenance.model": (
        "meta-llama/Llama-3.1-70B-Instruct",
        "was meta-llama/Llama-3.1-8B-Instruct, now meta-llama/Llama-3.1-70B-Instruct",
    ),
    "provenance.adapter": ("loop-2", "was loop-1, now loop-2"),
    "provenance.adapter_sha256": (OTHER_HASH, "was 0123456789abcdef..., now ffffffffffffffff..."),
    "provenance.engine": ("vllm 0.33.0", "was vllm 0.32.0, now vllm 0.33.0"),
    "provenance.sampling.seed": (1, "was 0, now 1"),
    "provenance.sampling.temperature": (0.8, "was 0.7, now 0.8"),
    "provenance.sampling.top_p": (0.9, "was not there, now 0.9"),
    "provenance.prompt_set": ("bb22", "was aa11, now bb22"),
    "provenance.code_version": ("0.2.0", "was 0.1.0, now 0.2.0"),
}


@pytest.mark.parametrize("field", CHANGES)
def test_a_field_that_differs_is_named_with_what_it_was_and_is(field):
    value, said = CHANGES[field]
    [change] = RUN.changes(changed(field, value))
    assert str(change) == f"{field} {said}"
    assert changed(field, value).changes(RUN) == [(field, change.now, change.was)]


def leaves(tree: dict, path: str = ""):
    for key, value in tree.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{path}{key}.")
        else:
            yield f"{path}{key}", value


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (field, value)
        for field, value in leaves(RUN.model_dump(mode="json"))
        if field not in {"version", "created_at", "forked_from", "provenance.started_at"}
    ],
)
def test_no_field_can_change_unnoticed(field, value):
    match value:
        case bool():
            other = not value
        case int():
            other = value + 1
        case float():
            other = value / 2 or 0.25
        case _:
            other = f"{value}, but other"
    now = changed(field, other)
    assert [change.field for change in RUN.changes(now)] == [field]


def test_all_fields_that_differ_are_named_in_the_order_of_their_names():
    now = changed("samples", 3).model_copy(
        update={"provenance": RUN.provenance.model_copy(update={"engine": "x"})}
    )
    assert [change.field for change in RUN.changes(now)] == ["provenance.engine", "samples"]


def test_neither_when_a_run_was_made_nor_where_it_was_forked_from_makes_it_another():
    now = RUN.model_copy(update={"created_at": "2027-01-01T00:00:00+00:00", "forked_from": "pilot"})
    assert RUN.changes(now) == []


@pytest.mark.parametrize(
    "sampling",
    [Sampling(), Sampling(temperature=0, seed=2**60), Sampling(temperature=1 / 3, seed=0, top_p=0.95)],
)
def test_a_manifest_that_was_written_and_read_is_the_same_run(sampling):
    settled = GraphStrategy(sampling=sampling).settle(ScriptedChatModel())
    made = manifest([CASE], 2, settled)
    assert Manifest.model_validate_json(made.model_dump_json(indent=2)).changes(made) == []
    assert made.total == 2


def test_a_manifest_that_says_nothing_of_a_selection_is_that_of_a_run_without_one():
    whole = RUN.model_copy(update={"selection": None})
    tree = whole.model_dump(mode="json")
    del tree["selection"]
    assert Manifest.model_validate(tree).changes(whole) == []
    assert "selection.benchmark was not there, now medqa" in map(
        str, Manifest.model_validate(tree).changes(RUN)
    )


def test_two_long_values_that_begin_alike_are_told_apart():
    now = changed("provenance.model", "meta-llama/Llama-3.1-8B-Instruct-tuned")
    [change] = RUN.changes(now)
    was, _, now_said = str(change).partition(", now ")
    assert not was.endswith(now_said)


def test_a_strategy_that_notes_when_it_was_settled_does_not_make_every_start_another_run():
    def settled(at: str):
        stamped = Provenance(model="scripted", started_at=at)
        return SimpleNamespace(strategy=StrategySettings(name="mine"), provenance=stamped)

    assert manifest([CASE], 1, settled("09:00")).changes(manifest([CASE], 1, settled("10:00"))) == []


def test_cases_are_told_by_content_and_order():
    both = case_set([CASE, FREE])
    assert both.count == 2
    assert both == case_set([CASE.model_copy(), FREE])
    assert both != case_set([FREE, CASE])
    assert both != case_set([CASE])
    assert both != case_set([CASE, Case(id=FREE.id, vignette=VIGNETTE + " He smokes.")])
    assert both != case_set([CASE, FREE.model_copy(update={"id": "renamed"})])


def test_a_case_that_stands_twice_counts_once():
    assert case_set([CASE, FREE, CASE, CASE]) == case_set([CASE, FREE])


def test_two_cases_of_one_id_are_refused_and_the_id_is_named():
    other = Case(id=CASE.id, vignette="Rash.")
    with pytest.raises(CaseConflict, match="two different cases have the id 'cough'"):
        case_set([CASE, FREE, other])


def test_cases_are_read_one_at_a_time_and_may_come_from_an_iterator():
    assert case_set(iter([CASE, FREE])) == case_set([CASE, FREE])
    assert case_set([]).count == 0
