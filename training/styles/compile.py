"""The compiler: one traversal into training text, pure and deterministic."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal, get_args

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from pydantic import BaseModel, ConfigDict

from ddxgraph.common.errors import BadInput, CompileError
from ddxgraph.graph.conversation import assemble
from ddxgraph.graph.generation import generation_prompts
from ddxgraph.graph.routing import Trigger
from ddxgraph.graph.trace import Trace
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.generate import SYSTEM
from ddxgraph.nodes.generate import Style as AskedStyle
from ddxgraph.nodes.usage import Usage
from ddxgraph.prompts.library import PromptSet
from ddxgraph.training.styles.graph import conversations
from ddxgraph.training.styles.journey import Journey, WentBack, answer_of, answered, journey_of
from ddxgraph.training.styles.longmonolog import monologue
from ddxgraph.training.styles.longstep import steps_told
from ddxgraph.training.styles.recover import RecoveryError, recover
from ddxgraph.training.styles.shortcut import brief, shortcut

__all__ = ["STYLES", "CompileError", "Sample", "Style", "compile_journey", "compile_samples"]

Style = Literal["longstep", "longmonolog", "shortcut", "cot", "graph"]
"""Two tell the whole journey, two are controls, and `graph` is the traversal's own conversation."""
STYLES: Final[tuple[Style, ...]] = get_args(Style)

ASKED_AS: Final[Mapping[Style, AskedStyle]] = {
    "longstep": "longstep",
    "longmonolog": "longmonolog",
    "shortcut": "longstep",
    "cot": "cot",
}
"""Style to the strategy whose prompt its samples answer.

`shortcut` answers the prompt of `longstep`: the two then differ in the detours alone, and models trained on
either are asked the same at inference.
"""

_HARD_TO_FIND: Final = re.compile(r"[.:;!?,]\s")
"""An option that holds more than a phrase may hold the end of one of our sentences and the start of another."""
_FROZEN: Final = ConfigDict(extra="forbid", frozen=True)


class Message(BaseModel):
    """A message of a chat, as TRL reads it."""

    model_config = _FROZEN

    role: Literal["system", "user", "assistant"]
    content: str


class Meta(BaseModel):
    """Where a sample comes from. The gold answer is no part of it."""

    model_config = _FROZEN

    trace: str
    """The trace's id."""
    case: str
    """The case's id."""
    sample: int
    """Which sample of the case the trace was."""
    source: str
    split: str
    style: Style
    seed: int
    tries: int | None
    """Most tries of each on-path node; None: all of them."""
    part: int
    """Which of the trace's conversations, from 0; always 0 but for `graph` after a compaction."""
    prompt_hash: str
    """Of the prompt set that the sample answers: that of its style's strategy; for `graph` the trace's own."""
    model: str
    adapter: str | None
    adapter_sha256: str | None
    triggers: Mapping[Trigger, int]
    """Who made the trace's moves, and how many: `gold` or `label` mean that an answer key had a part in it."""
    backtracks: int
    """Backtracks of the trace."""
    told_backtracks: int
    """Backtracks that the text tells: fewer under the tree rule, none in `shortcut` and `cot`."""
    tokens: Usage
    """What the trace counted; for the sample's own length, tokenise it."""
    answer: str


class Sample(BaseModel):
    """One training sample: `messages` in TRL's chat format, and where they come from."""

    model_config = _FROZEN

    messages: tuple[Message, ...]
    meta: Meta

    def to_json(self) -> str:
        """The sample on one line, as a data file holds it."""
        return self.model_dump_json()


def compile_journey(
    trace: Trace, style: Style, seed: int = 0, *, tries: int | None = None, prompts: PromptSet | None = None
) -> Sample:
    """Compile a traversal into one training sample.

    The wording follows from the seed, the style and the trace's id alone. The reply of every style but `graph`
    ends in the line that states the answer (`nodes.statement`); its system and user messages are what the
    strategy of that style puts to a model at inference.

    Args:
        trace: a traversal of the graph that reached an answer.
        style: one of `STYLES`.
        seed: another seed, another wording.
        tries: the tree rule for `longstep` and `longmonolog`: most tries of each on-path node, at least 2.
        prompts: the prompt set of the style's strategy; the shipped one by default. Not for `graph`.

    Returns:
        The sample; for `graph`, of a trace whose conversation was compacted, that of its last conversation
        (`compile_samples` gives all of them).

    Raises:
        CompileError: the trace is of another strategy, broke off, has no answer or one that no line can state,
            or holds names that would not be found again in the text.
        BadInput: there is no such style, or `tries` is less than 2 or of no use to the style.
    """
    return compile_samples(trace, style, seed, tries=tries, prompts=prompts)[-1]


def compile_samples(
    trace: Trace, style: Style, seed: int = 0, *, tries: int | None = None, prompts: PromptSet | None = None
) -> tuple[Sample, ...]:
    """All the samples of a traversal: one, but for `graph`, where each compaction begins another conversation.

    Arguments and errors are those of `compile_journey`.
    """
    if style not in STYLES:
        raise BadInput(f"there is no style {style!r}: choose one of {', '.join(STYLES)}")
    if tries is not None and style not in {"longstep", "longmonolog"}:
        raise BadInput(f"the tree rule is of no use to {style!r}: it is for 'longstep' and 'longmonolog'")
    if style == "graph":
        return _node_turns(trace, seed)
    reply, told_backtracks = _reply(trace, style, f"{seed}|{style}|{trace.id}", tries)
    prompts = prompts or generation_prompts(ASKED_AS[style])
    messages = (*_messages(asked(trace.case, style, prompts)), Message(role="assistant", content=reply))
    meta = _meta(
        trace,
        style,
        seed,
        answer=answer_of(trace),
        prompt_hash=prompts.hash,
        told_backtracks=told_backtracks,
        tries=tries,
    )
    return (Sample(messages=messages, meta=meta),)


def asked(case: Case, style: Style, prompts: PromptSet | None = None) -> list[BaseMessage]:
    """What the strategy of a style puts to a model: the system message, and the case with what is asked for."""
    strategy = ASKED_AS[style]
    prompts = prompts or generation_prompts(strategy)
    asking = prompts.render(strategy, letters=case.letters)
    return assemble(prompts.render(SYSTEM), prompts.render("case", case=case), [], asking=asking)


def _reply(trace: Trace, style: Style, seed: str, tries: int | None) -> tuple[str, int]:
    """The text, and how many backtracks it tells."""
    match style:
        case "shortcut":
            return shortcut(trace, seed), 0
        case "cot":
            return brief(trace), 0
        case _:
            journey: Journey = journey_of(trace, tries)
            write = steps_told if style == "longstep" else monologue
            text = write(journey, trace.case.options, seed)
            if any(_HARD_TO_FIND.search(option) for option in trace.case.options.values()):
                _found_again(journey, text, trace)
            return text, sum(isinstance(event, WentBack) for event in journey)


def _found_again(journey: Journey, text: str, trace: Trace) -> None:
    """See to it that a text can be read back."""
    try:
        read = recover(text, trace.case.options)
    except RecoveryError:
        read = ()
    if read != journey:
        raise CompileError(
            f"an option of trace {trace.id} is worded like a sentence of ours, and would not be found again in "
            "the text: leave it out"
        )


def _node_turns(trace: Trace, seed: int) -> tuple[Sample, ...]:
    return tuple(
        Sample(
            messages=_messages(messages),
            meta=_meta(
                trace,
                "graph",
                seed,
                answer=answered(trace),
                prompt_hash=trace.provenance.prompt_set,
                told_backtracks=trace.backtracks,
                part=part,
            ),
        )
        for part, messages in enumerate(conversations(trace))
    )


def _messages(messages: Sequence[BaseMessage]) -> tuple[Message, ...]:
    return tuple(Message(role=_role(message), content=str(message.content)) for message in messages)


def _role(message: BaseMessage) -> Literal["system", "user", "assistant"]:
    if isinstance(message, SystemMessage):
        return "system"
    return "assistant" if isinstance(message, AIMessage) else "user"


def _meta(trace: Trace, style: Style, seed: int, **facts: Any) -> Meta:
    triggers: dict[Trigger, int] = {}
    for step in trace.steps:
        triggers[step.move.trigger] = triggers.get(step.move.trigger, 0) + 1
    return Meta(
        trace=trace.id,
        case=trace.case.id,
        sample=trace.sample,
        source=trace.case.source,
        split=trace.case.split,
        style=style,
        seed=seed,
        model=trace.provenance.model,
        adapter=trace.provenance.adapter,
        adapter_sha256=trace.provenance.adapter_sha256,
        triggers=dict(sorted(triggers.items())),
        backtracks=trace.backtracks,
        tokens=trace.usage,
        **{"tries": None, "part": 0, **facts},
    )
