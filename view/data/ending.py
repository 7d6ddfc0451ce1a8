"""Why a traversal ended, and with which answer, in sentences. Pure."""

from collections.abc import Mapping
from typing import Final

from ddxgraph.graph.cutprompts import cut_in_words
from ddxgraph.graph.trace import EndReason, Trace

_ENDINGS: Final[Mapping[EndReason, str]] = {
    "concluded": "It came to its conclusion.",
    "budget_tokens": "Its budget of tokens was spent, so it ended with what it had.",
    "budget_calls": "Its budget of calls was spent, so it ended with what it had.",
    "budget_backtracks": "It wanted to go back once more, but its budget of backtracks was spent, so it ended "
    "with what it had.",
    "failure": "It broke off for a reason unrelated to the model.",
    "interrupted": "It was interrupted before its end.",
}
_OUTCOMES: Final = {
    "answered": "",
    "abstained": "It named no answer.",
    "unparsed": "Its last reply could not be read, so there is no answer.",
    "interrupted": "It is unscored, and can go on where it stands.",
    "error": "It is unscored: an engine failure does not count as a wrong answer.",
}


def ending(trace: Trace) -> str:
    """Why it ended and, if it gave no answer, what went wrong."""
    unread = trace.ended == "concluded" and trace.outcome == "unparsed"
    sentences = ["" if unread else _ENDINGS[trace.ended], _OUTCOMES[trace.outcome]]
    if trace.failure and trace.outcome != "answered":
        sentences.append(f"The error was: {trace.failure.message}.")
    if told := cut_in_words(trace):
        sentences.append(f"{told[0].upper()}{told[1:]}.")
    return " ".join(filter(None, sentences))


def answer_in_words(trace: Trace) -> str:
    """The answer with the text of its option, or `No answer`."""
    return "No answer" if trace.answer is None else choice_in_words(trace.answer, trace.case.options)


def choice_in_words(answer: str, options: Mapping[str, str]) -> str:
    """An answer, given or gold, with the text of its option; unchanged in a free-form case."""
    text = options.get(answer)
    return f"{answer}. {text}" if text else answer
