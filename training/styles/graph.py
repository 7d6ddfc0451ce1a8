"""The style `graph`: a traversal's own node turns, to train a model for the graph itself."""

import json
import re
from collections.abc import Sequence
from itertools import groupby
from random import Random
from typing import Final

from langchain_core.messages import AIMessage, BaseMessage

from ddxgraph.common.errors import CompileError
from ddxgraph.graph.conversation import assemble
from ddxgraph.graph.trace import Step, Trace, exchanges

_TEXT_OR_SPACE: Final = re.compile(r'("(?:\\.|[^"\\])*")|\s+')


def conversations(trace: Trace) -> list[list[BaseMessage]]:
    """The conversations that a traversal held with its model, in order; each ends in a reply.

    There is one, and another for each compaction, which starts from the case and the summary that the model was
    given. Repairs, and replies that could not be read even after a repair, are left out: what follows a turn is
    the reply that fitted.

    Evidence checks of a round stand one after another, although they did not see each other, so only the first
    stands exactly as it was asked. Their order is drawn for each traversal: in a fixed order the first would
    always be of the same option, and a model would learn to go by the place.

    Replies are spaced as vLLM's grammar spaces JSON: without any white space between tokens, whatever engine
    they come from. A small model that was trained on `"a": "b"` and is held to `"a":"b"` writes nonsense.

    Raises:
        CompileError: the trace holds no reply that could be read.
    """
    ends = [*(compaction.before for compaction in trace.compactions), len(trace.steps)]
    steps = _with_shuffled_checks(trace)
    held: list[list[BaseMessage]] = []
    for place, end in enumerate(ends):
        earlier = trace.compactions[:place]
        summary = earlier[-1].text if earlier else ""
        turns = exchanges(steps[:end], earlier)
        if turns:
            messages = assemble(trace.system, trace.opening, turns, summary=summary)
            held.append([_spaced_as_served(message) for message in messages])
    if not held:
        raise CompileError(f"trace {trace.id} holds no reply that could be read: run the case again")
    return held


def _with_shuffled_checks(trace: Trace) -> Sequence[Step]:
    rng = Random(trace.id)  # noqa: S311 - to be repeated, not secret
    shuffled: list[Step] = []
    for are_checks, run in groupby(trace.steps, key=lambda step: step.branch is not None):
        steps = list(run)
        if are_checks:
            rng.shuffle(steps)
        shuffled += steps
    return shuffled


def _spaced_as_served(message: BaseMessage) -> BaseMessage:
    if not isinstance(message, AIMessage):
        return message
    text = str(message.content)
    try:
        json.loads(text)
    except ValueError:  # JSON within prose: what is around it needs its spaces
        return message
    return AIMessage(_TEXT_OR_SPACE.sub(r"\1", text))
