"""What our graph costs over a bare LangGraph of the same topology: no engine, an instant scripted model.

Both walk the same straight journey of a four-option case: history, differential, four parallel evidence
checks, reflection, conclusion; the same moves by `Command` and `Send`. The bare graph's nodes are empty: they
call no model, render no prompt, read no reply and keep no trace. The two are timed in turn, many times; a
ratio is the median over the pairs. How much a bare node costs depends on how it is written and called, so each
way is measured: plain functions under `ainvoke` (LangGraph runs them in threads), async functions under
`ainvoke`, and plain functions under `invoke`. Prints JSON.

    python benchmarks/orchestration.py [--pairs 30] [--walks 40]
"""

import argparse
import asyncio
import inspect
import json
import operator
import statistics
import time
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypedDict

from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, Send

from ddxgraph import Case, build_graph
from ddxgraph.testing import ScriptedChatModel

CASE = Case(
    vignette="A 34-year-old woman has had fever, a productive cough and pleuritic chest pain for three days. "
    "Crackles are heard over the right lower lobe. No leg swelling.",
    question="Which of the following is the most likely diagnosis?",
    options={
        "A": "Influenza",
        "B": "Lobar pneumonia",
        "C": "Pulmonary embolism",
        "D": "Myocardial infarction",
    },
)


class BareState(TypedDict, total=False):
    case: Case
    steps: Annotated[list[str], operator.add]


class BareCheck(TypedDict):
    hypothesis: str


def review_history(state: BareState) -> Command[Any]:
    return Command(goto="generate_differential")


def generate_differential(state: BareState) -> Command[Any]:
    return Command(goto=[Send("check_evidence", {"hypothesis": key}) for key in state["case"].letters])


def check_evidence(check: BareCheck) -> BareState:
    return {}


def reflect(state: BareState) -> Command[Any]:
    return Command(goto="conclude")


def conclude(state: BareState) -> Command[Any]:
    return Command(goto=END)


def as_async(node: Callable[[Any], Any]) -> Callable[[Any], Awaitable[Any]]:
    async def run(state: Any) -> Any:
        return node(state)

    return run


def bare_graph(*, asynchronous: bool) -> Any:
    """The same five nodes and the same ways between them, with nothing in the nodes."""
    graph = StateGraph(BareState)
    for node in (review_history, generate_differential, check_evidence, reflect, conclude):
        reads = BareCheck if node is check_evidence else BareState
        graph.add_node(node.__name__, as_async(node) if asynchronous else node, input_schema=reads)
    graph.add_edge(START, "review_history")
    graph.add_edge("check_evidence", "reflect")
    return graph.compile()


async def milliseconds(walk: Callable[[], Any], walks: int) -> float:
    start = time.perf_counter()
    for _ in range(walks):
        result = walk()
        if inspect.isawaitable(result):
            await result
    return (time.perf_counter() - start) / walks * 1e3


async def measure(pairs: int, walks: int) -> dict[str, dict[str, float]]:
    ours = build_graph(ScriptedChatModel(record=False))
    plain, asynchronous = bare_graph(asynchronous=False), bare_graph(asynchronous=True)
    given = {"case": CASE}
    return {
        "plain_functions_ainvoke": await compare(
            lambda: ours.ainvoke(given), lambda: plain.ainvoke(given), pairs, walks
        ),
        "async_functions_ainvoke": await compare(
            lambda: ours.ainvoke(given), lambda: asynchronous.ainvoke(given), pairs, walks
        ),
        "plain_functions_invoke": await compare(
            lambda: ours.invoke(given), lambda: plain.invoke(given), pairs, walks
        ),
    }


async def compare(
    ours: Callable[[], Any], bare: Callable[[], Any], pairs: int, walks: int
) -> dict[str, float]:
    timed = [(await milliseconds(ours, walks), await milliseconds(bare, walks)) for _ in range(pairs + 1)][
        1:
    ]  # the first pair warms up
    return {
        "ddxgraph_ms": round(statistics.median(a for a, _ in timed), 3),
        "bare_langgraph_ms": round(statistics.median(b for _, b in timed), 3),
        "ratio": round(statistics.median(a / b for a, b in timed), 3),
        "ratio_min": round(min(a / b for a, b in timed), 3),
        "ratio_max": round(max(a / b for a, b in timed), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--walks", type=int, default=40)
    args = parser.parse_args()
    print(json.dumps({**asyncio.run(measure(args.pairs, args.walks)), **vars(args)}))


if __name__ == "__main__":
    main()
