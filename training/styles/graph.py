"""The style `graph`: a traversal's own node turns, to train a model for the graph itself."""

import json
import re
from itertools import groupby
from random import Random
from typing import Final

from langchain_core.messages import AIMessage, BaseMessage

from ddxgraph.common.errors import CompileError
from ddxgraph.graph.conversation import assemble
from ddxgraph.graph.trace import Step, Trace, exchanges
from ddxgraph.training.styles.journey import answered

LAST: Final = -1
_TEXT_OR_SPACE: Final = re.compile(r'("(?:\\.|[^"\\])*")|\s+')


def conversations(trace: Trace) -> list[list[BaseMessage]]:
    """The conversations that a traversal held with its model, in order; each ends in a reply.

    There is one, and another from each compaction on, which starts from the case and the summary that the model
    was given. A reply that could not be read even after its repair is no part of them, nor is a repair: what
    follows a turn is the reply that fitted.

    Evidence checks of a round stand one after another, and only the first stands exactly as it was asked for,
    since the checks of a round did not see each other. So their order is drawn for each traversal: in a fixed
    one, the first is always of the same option, and a model learns to go by the place, which says nothing when
    it is asked.

    Replies are spaced as vLLM's grammar spaces JSON, whatever engine they come from: without any white space
    between tokens. A small model that was trained on `"a": "b"` and is held to `"a":"b"` writes nonsense.

    Raises:
        CompileError: the trace has no answer, is not of the graph, or holds no reply that could be read.
    """
    answered(trace)
    ends = [*(compaction.before for compaction in trace.compactions), len(trace.steps)]
    steps = _rounds_mixed(trace)
    held: list[list[BaseMessage]] = []
    for place, end in enumerate(ends):
        earlier = trace.compactions[:place]
        summary = earlier[-1].text if earlier else ""
        told = exchanges(steps[:end], earlier)
        if told:
            messages = _ending_in_a_reply(assemble(trace.system, trace.opening, told, summary=summary))
            held.append([_spaced_as_served(message) for message in messages])
    if not held:
        raise CompileError(f"trace {trace.id} holds no reply that could be read: run the case again")
    return held


def _rounds_mixed(trace: Trace) -> list[Step]:
    rng = Random(trace.id)  # noqa: S311 - to be repeated, not secret
    mixed: list[Step] = []
    for are_checks, steps in groupby(trace.steps, key=lambda step: step.branch is not None):
        together = list(steps)
        if are_checks:
            rng.shuffle(together)
        mixed += together
    return mixed


def _ending_in_a_reply(messages: list[BaseMessage]) -> list[BaseMessage]:
    if not isinstance(messages[LAST], AIMessage):
        raise AssertionError("a conversation of exchanges ends in a reply")
    return messages


def _spaced_as_served(message: BaseMessage) -> BaseMessage:
    if not isinstance(message, AIMessage):
        return message
    text = str(message.content)
    try:
        json.loads(text)
    except ValueError:  # JSON within prose: what is around it needs its spaces
        return message
    return AIMessage(_TEXT_OR_SPACE.sub(r"\1", text))
