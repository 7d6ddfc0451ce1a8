"""Why a journey ended, and how it came out, in a sentence. Pure."""

from collections.abc import Mapping
from typing import Final

from ddxgraph.graph.trace import EndReason, Trace

_ENDINGS: Final[Mapping[EndReason, str]] = {
    "concluded": "It came to its conclusion.",
    "budget_tokens": "Its budget of tokens was spent, so it ended with what it had.",
    "budget_calls": "Its budget of calls was spent, so it ended with what it had.",
    "budget_backtracks": "It wanted to go back once more, but its budget of backtracks was spent, so it ended "
    "with what it had.",
    "failure": "It broke off, for no fault of the model.",
    "interrupted": "It was interrupted before its end.",
}
_OUTCOMES: Final = {
    "answered": "",
    "abstained": "It named no answer.",
    "unparsed": "Its last reply could not be read, so there is no answer.",
    "error": "It is unscored: an engine’s failure is no wrong answer.",
}


def ending(trace: Trace) -> str:
    """Why it ended, and what came of it where that is no answer."""
    unread = trace.ended == "concluded" and trace.outcome == "unparsed"
    said = ["" if unread else _ENDINGS[trace.ended], _OUTCOMES[trace.outcome]]
    if trace.failure and trace.outcome != "answered":
        said.append(f"What was said of it: {trace.failure.message}.")
    return " ".join(filter(None, said))


def answer_in_words(trace: Trace) -> str:
    """The answer with its option’s text; a word where there is none."""
    return "No answer" if trace.answer is None else choice_in_words(trace.answer, trace.case.options)


def choice_in_words(answer: str, options: Mapping[str, str]) -> str:
    """An answer, given or gold, with its option’s text; in a free-form case as it is."""
    text = options.get(answer)
    return f"{answer}. {text}" if text else answer
