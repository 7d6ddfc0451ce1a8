"""Generate: one reply to the whole case, and the answer that it states."""

from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from ddxgraph.nodes.call.consultation import TOP_LOGPROBS, Consultation, Reply, Turn
from ddxgraph.nodes.call.reply import form, one_of, text
from ddxgraph.nodes.call.statement import STATEMENT_CHARS, STATEMENT_RULE, probabilities_at, stated
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.conclude import letter_probabilities
from ddxgraph.nodes.failure import Failure, FailureKind
from ddxgraph.nodes.stop import Node
from ddxgraph.nodes.strategies import generating

NODE: Final = "generate"
SYSTEM: Final = "generation_system"
"""The prompt that is the system message of every strategy of one generation."""

_SPARE_LOGPROBS: Final = 2
"""Alternatives beyond the letters at each token of a free text: enough to bound a letter that is not among
them, but so few that 1,000 tokens take half a megabyte."""
_CLOSES: Final = "*_`.):\n "
"""Characters that may follow a stated letter within its token."""


class Generation(BaseModel):
    """The output of a single generation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["generation"] = "generation"
    answer: str | None = None
    """An option's letter, or text in a free-form case; None if the reply states no answer."""
    statement: str = ""
    """The words that state it, as in the reply."""
    distribution: Mapping[str, float] = Field(default_factory=dict)
    """Probability of each option, by letter; sums to one unless empty."""
    distribution_from: Literal["logprobs", "none"] = "none"
    """`logprobs`: of the stated letter's token, renormalised over the options."""
    truncated: bool = False
    """Whether the reply was cut off at its token limit."""
    rule: str = ""
    """Version of the rule that parsed a free text (`STATEMENT_RULE`); empty for a form."""


def prompts_of(strategy: str) -> tuple[str, ...]:
    """The prompts that a strategy of one generation needs; what they include goes with them.

    Raises:
        UnknownStrategy: there is no such strategy.
    """
    return (SYSTEM, "case", strategy, *(("repair",) if generating(strategy).form else ()))


def asking(case: Case, strategy: str, line: Consultation) -> str:
    """The turn that asks for a reply.

    Args:
        case: the case.
        strategy: which of one generation.
        line: the line to the model.

    Returns:
        The text of the strategy's own prompt.
    """
    return line.prompts.render(strategy, letters=case.letters)


@cache
def output_model(letters: tuple[str, ...]) -> type[BaseModel]:
    """The form of a bare answer."""
    return form("Generate", answer=one_of(letters) if letters else text(STATEMENT_CHARS, least=1))


async def generate(case: Case, strategy: str, max_tokens: int, line: Consultation) -> Generation:
    """Answer the case in one reply.

    A bare answer that does not fit its form is repaired once. A free text is taken as it is, since asking again
    would be another strategy. If it states no answer, the reply is marked as failed.

    Args:
        case: the case.
        strategy: which of one generation.
        max_tokens: token limit of the reply.
        line: the line to the model.

    Returns:
        The generation, without an answer if the reply states none.

    Raises:
        UnknownStrategy: there is no such strategy.
        EngineFailed: the model gave no reply.
    """
    if generating(strategy).form:
        return await _bare(case, strategy, max_tokens, line)
    letters = case.letters
    logprobs = min(len(letters) + _SPARE_LOGPROBS, TOP_LOGPROBS) if letters else 0
    turn: Turn[Any] = Turn(NODE, asking(case, strategy, line), None, max_tokens, logprobs=logprobs)
    reply = await line.write(turn)
    statement = None if reply.truncated else stated(reply.text, case.options)
    if statement is None:
        reply.failure = _unstated(reply)
        return Generation(truncated=reply.truncated, rule=STATEMENT_RULE)
    measured = probabilities_at(statement.place, reply.text, reply.logprobs, letters, _CLOSES)
    return _generation(statement.answer, statement.words, measured, STATEMENT_RULE)


async def _bare(case: Case, strategy: str, max_tokens: int, line: Consultation) -> Generation:
    """The bare answer, in a form that the engine enforces."""
    letters = case.letters
    turn = Turn(
        NODE,
        asking(case, strategy, line),
        output_model(letters),
        max_tokens,
        logprobs=TOP_LOGPROBS if letters else 0,
    )
    output: Any = await line.ask(turn)
    reply = line.reply
    if output is None or reply is None:
        return Generation(truncated=reply is not None and reply.truncated)
    return _generation(
        output.answer, output.answer, letter_probabilities(reply.text, reply.logprobs, letters)
    )


def _generation(answer: str, words: str, measured: Mapping[str, float] | None, rule: str = "") -> Generation:
    return Generation(
        answer=answer,
        statement=words,
        distribution=measured or {},
        distribution_from="logprobs" if measured else "none",
        rule=rule,
    )


def _unstated(reply: Reply[Any]) -> Failure:
    kind = FailureKind.CUT_OFF if reply.truncated else FailureKind.MALFORMED
    if reply.truncated:
        problem = (
            f"the reply was cut off after {reply.usage.completion_tokens} tokens; allow more tokens a reply"
        )
    else:
        problem = (
            "the last line of the reply is not `Answer:` with an answer; use a model that follows the format, or "
            "one that was trained in it"
        )
    return Failure(boundary="parse", kind=kind, node=NODE, message=f"{NODE}: {problem}")


def _words(generation: Generation) -> Iterator[str]:
    yield generation.statement


GENERATE: Final = Node(
    name=NODE, title="Generation", letter="G", colour="#0060a8", output=Generation, words=_words
)
