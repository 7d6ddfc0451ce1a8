"""The compiler: one traversal into training text, pure and deterministic."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Generic, Literal, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from pydantic import AfterValidator

from ddxgraph.common.errors import CompileError
from ddxgraph.common.frozen import Frozen, Int64
from ddxgraph.graph.conversation import assemble
from ddxgraph.graph.generation import generation_prompts
from ddxgraph.graph.routing import Trigger
from ddxgraph.graph.trace import Trace
from ddxgraph.nodes.call.usage import Usage
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.generate import SYSTEM
from ddxgraph.prompts.library import PromptSet
from ddxgraph.training.styles.events import WentBack
from ddxgraph.training.styles.journey import ParsedTrace, parse
from ddxgraph.training.styles.registry import Style, check_tries, style_of

__all__ = ["CompileError", "Sample", "StyleName", "compile_journey", "compile_samples"]

StyleName = Annotated[str, AfterValidator(lambda name: style_of(name).name)]
"""Name of a registered style."""


TokensT = TypeVar("TokensT")


class Message(Frozen):
    """A message of a chat, as TRL reads it."""

    role: Literal["system", "user", "assistant"]
    content: str


class Origin(Frozen, Generic[TokensT]):
    """Where a sample comes from. The gold answer is no part of it."""

    trace: str
    """The trace's id."""
    case: str
    """The case's id."""
    sample: Int64
    """Which sample of the case the trace was, from 0."""
    source: str
    """Of the case; may be empty."""
    split: str
    """Of the case in its source, not of a set; may be empty."""
    style: StyleName
    seed: Int64
    """Of the wording."""
    tries: Int64 | None
    """Most tries of each on-path node that the text tells; None: all of them."""
    part: Int64
    """Which of the trace's conversations, from 0; always 0 but for `graph` after a compaction."""
    prompt_hash: str
    """Of the prompt set that the sample answers: that of its style's strategy; for `graph` the trace's own."""
    model: str
    """The model that made the journey."""
    adapter: str | None
    adapter_sha256: str | None
    triggers: Mapping[Trigger, Int64]
    """Trigger to the number of moves that it made. `gold` or `label`: an answer key had a part in the trace."""
    backtracks: Int64
    """Backtracks of the trace."""
    told_backtracks: Int64
    """Backtracks that the text tells: fewer under the tree rule, none in a control."""
    tokens: TokensT
    """What the engine counted over the trace. For the sample's own length, tokenise it."""
    answer: str
    """The answer of the journey: an option's letter, or text in a free-form case."""


class Meta(Origin[Usage]):
    """Where a sample comes from, as the compiler says it."""


class Sample(Frozen):
    """One training sample: `messages` in TRL's chat format, and where they come from."""

    messages: tuple[Message, ...]
    meta: Meta

    def to_json(self) -> str:
        """The sample on one line, as a data file holds it."""
        return self.model_dump_json()


def compile_journey(
    trace: Trace, style: str, seed: int = 0, *, tries: int | None = None, prompts: PromptSet | None = None
) -> Sample:
    """Compile a traversal into one training sample.

    The wording follows from the seed, the style and the trace's id alone. In every style but `graph` the reply
    ends in the line that states the answer (`nodes.statement`), and the system and user messages are what the
    style's strategy puts to a model at inference.

    Args:
        trace: a traversal of the graph that reached an answer.
        style: name of a registered style.
        seed: another seed, another wording.
        tries: the tree rule, for styles that tell whole journeys: most tries of each on-path node, at least 2.
        prompts: the prompt set of the style's strategy; the shipped one by default. Not for `graph`.

    Returns:
        The sample; for `graph`, the last conversation of a trace whose conversation was compacted
        (`compile_samples` gives all of them).

    Raises:
        CompileError: the trace is of another strategy, broke off, has no answer or one that no line can state,
            or holds names that would not be found again in the text.
        UnknownStyle: there is no such style.
        BadInput: `tries` is less than 2 or does not apply to the style.

    Example:
        >>> from ddxgraph import Case, build_graph, solve
        >>> from ddxgraph.testing import ScriptedChatModel
        >>> case = Case(vignette="Fever and cough.", options={"A": "Influenza", "B": "Pneumonia"})
        >>> sample = compile_journey(solve(build_graph(ScriptedChatModel()), case), "longstep")
        >>> sample.messages[-1].content.splitlines()[-1]
        'Answer: A'
    """
    return compile_samples(trace, style, seed, tries=tries, prompts=prompts)[-1]


def compile_samples(
    trace: Trace, style: str, seed: int = 0, *, tries: int | None = None, prompts: PromptSet | None = None
) -> tuple[Sample, ...]:
    """Compile a traversal into all its samples: one, but for `graph`, which has one for each conversation.

    Args:
        trace: see `compile_journey`, as are the others.
        style: name of a registered style.
        seed: of the wording.
        tries: the tree rule.
        prompts: instead of the shipped ones.

    Returns:
        The samples, in the order of the conversations; each compaction begins another one.

    Raises:
        CompileError, UnknownStyle, BadInput: see `compile_journey`.
    """
    known = style_of(style)
    check_tries(known, tries)
    parsed = parse(trace, tries)
    text = known.tell(parsed, f"{seed}|{style}|{trace.id}")
    if not isinstance(text, str):
        facts = {"answer": trace.answer, "prompt_hash": trace.provenance.prompt_set}
        metas = (_meta(parsed, known, seed, part=part, **facts) for part in range(len(text)))
        return tuple(
            Sample(messages=_messages(conversation), meta=meta)
            for conversation, meta in zip(text, metas, strict=True)
        )
    prompts = prompts or generation_prompts(known.strategy)
    question = _messages(_question(trace.case, known.strategy, prompts))
    meta = _meta(parsed, known, seed, answer=parsed.answer, prompt_hash=prompts.hash)
    return (Sample(messages=(*question, Message(role="assistant", content=text)), meta=meta),)


def _question(case: Case, strategy: str, prompts: PromptSet) -> list[BaseMessage]:
    """What a strategy puts to a model: the system message, and the case with what is asked for."""
    asking = prompts.render(strategy, letters=case.letters)
    return assemble(prompts.render(SYSTEM), prompts.render("case", case=case), [], asking=asking)


def _messages(messages: Sequence[BaseMessage]) -> tuple[Message, ...]:
    return tuple(Message(role=_role(message), content=str(message.content)) for message in messages)


def _role(message: BaseMessage) -> Literal["system", "user", "assistant"]:
    if isinstance(message, SystemMessage):
        return "system"
    return "assistant" if isinstance(message, AIMessage) else "user"


def _meta(parsed: ParsedTrace, style: Style, seed: int, *, part: int = 0, **facts: Any) -> Meta:
    trace = parsed.trace
    match style.kind:
        case "journey":
            told_backtracks = sum(isinstance(event, WentBack) for event in parsed.journey)
        case "control":
            told_backtracks = 0
        case "conversation":
            told_backtracks = trace.backtracks
    return Meta(
        trace=trace.id,
        case=trace.case.id,
        sample=trace.sample,
        source=trace.case.source,
        split=trace.case.split,
        style=style.name,
        seed=seed,
        tries=parsed.tries,
        part=part,
        model=trace.provenance.model,
        adapter=trace.provenance.adapter,
        adapter_sha256=trace.provenance.adapter_sha256,
        triggers=dict(sorted(Counter(step.move.trigger for step in trace.steps).items())),
        backtracks=trace.backtracks,
        told_backtracks=told_backtracks,
        tokens=trace.usage,
        **facts,
    )
