"""A traversal in the terminal: one block for each step as it arrives, then the answer."""

from collections.abc import Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from ddxgraph.common.words import NOTICE
from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.check_evidence import EvidenceCheck, Weight
from ddxgraph.nodes.conclude import Conclusion
from ddxgraph.nodes.expert_edit import ExpertEdit
from ddxgraph.nodes.generate import Generation
from ddxgraph.nodes.generate_differential import Differential
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.nodes.registry import title
from ddxgraph.nodes.review_history import Finding, History
from ddxgraph.view.data.course import Course
from ddxgraph.view.data.ending import choice_in_words
from ddxgraph.view.data.path import step_title
from ddxgraph.view.terminal.bars import bars
from ddxgraph.view.terminal.pathline import path_line, short_path
from ddxgraph.view.terminal.screen import Screen

_INDENT: Final = 4
_MOST_CHARS: Final = 2_400
"""More than the default limits let a model write in one field; longer texts are cut."""
_MOST_LINES: Final = 30
_PATH_CHARS: Final = 300


class JourneyPrinter:
    """Prints steps as they arrive. No meaning depends on colour alone.

    Args:
        console: where to print; stderr for progress.
        case: the case, for the texts of its options.
    """

    def __init__(self, console: Console, case: Case) -> None:
        self._console, self._screen = console, Screen(console)
        self.labels: dict[str, str] = dict(case.options)
        """Hypothesis id to label, as far as known."""
        self._quotes: dict[str, str] = {}
        self._course = Course()

    def step(self, step: Step) -> None:
        """Print one step."""
        self._course = self._course.after(step)
        if isinstance(step.output, Differential | ExpertEdit):
            named = {hypothesis.id: hypothesis.label for hypothesis in step.output.hypotheses or ()}
            self.labels = {**self.labels, **named}  # anew, since another thread may be drawing the old one
        title = self._text(f"{step.index + 1:>2}. {step_title(step)}")
        self._console.print(Text.assemble((title, "bold"), " ", (_cost(step), "dim")))
        for line in [*self._thought(step), *self._outcome(step)]:
            self._console.print(Padding(line, (0, 0, 0, _INDENT), expand=False))

    def _text(self, text: str) -> str:
        return excerpt(self._screen.text(text))

    def _outcome(self, step: Step) -> Iterator[Text]:
        """What went wrong, and a move other than on to the next stop."""
        if step.failure:
            yield Text(f"! {self._text(step.failure.message)}", style="red")
        elif step.attempts:
            yield Text("! the first reply did not match its schema and was repaired", style="yellow")
        why = self._text(step.move.reason)
        if step.move.backtrack:
            about = f" on {self._text(', '.join(step.move.targets))}" if step.move.targets else ""
            to = f"<- back to {title(step.move.to).lower()}{about}"
            yield Text.assemble((to, "bold magenta"), (f" ({step.move.trigger}: {why})", "dim"))
        elif step.move.trigger in {"budget", "expert"}:
            yield Text.assemble((f"-> {step.move.to}", "yellow"), (f" ({step.move.trigger}: {why})", "dim"))

    def _thought(self, step: Step) -> Iterator[Text]:
        match step.output:
            case History() as history:
                yield from self._history(history)
            case Differential():
                yield from self._bars(step)
            case EvidenceCheck() as check:
                yield from self._evidence(check)
            case Reflection() as reflection:
                yield from self._reflection(reflection)
                yield from self._bars(step)
            case Conclusion() as conclusion:
                yield Text(self._text(conclusion.justification), style="italic")
            case Generation():
                yield Text(self._text(step.text))
            case _:
                if isinstance(step.output, ExpertEdit):
                    self._quotes |= {finding.id: finding.quote for finding in step.output.findings or ()}
                yield from (Text(self._text(words)) for words in step.remarks)

    def _history(self, history: History) -> Iterator[Text]:
        self._quotes |= {finding.id: finding.quote for finding in history.findings}
        yield Text(f"asks for: {history.asks.replace('_', ' ')}")
        yield from map(self._finding, history.findings)
        if history.unquoted:
            yield Text(f"{history.unquoted} dropped: not quoted from the case", style="dim")

    def _finding(self, finding: Finding) -> Text:
        sign = "no" if finding.polarity == "absent" else "  "
        kind = f"{finding.kind.replace('_', ' ')}, {'*' * finding.salience}"
        return Text.assemble(f'{finding.id:>3} {sign} "{self._text(finding.quote)}" ', (kind, "dim"))

    def _evidence(self, check: EvidenceCheck) -> Iterator[Text]:
        label = self.labels.get(check.hypothesis, "")
        yield Text(self._screen.line(label, self._screen.width - _INDENT), style="dim")
        yield from map(self._weight, check.weights)

    def _weight(self, weight: Weight) -> Text:
        quote = self._text(self._quotes.get(weight.finding, "the case as a whole"))
        sign = "0" if weight.strength == 0 else "+" * weight.strength or "-" * -weight.strength
        style = "green" if weight.strength > 0 else "red" if weight.strength < 0 else ""
        return Text.assemble(
            (f"{sign:>3} {weight.stance}", style), (f' "{quote}" ', "dim"), self._text(weight.reason)
        )

    def _reflection(self, reflection: Reflection) -> Iterator[Text]:
        if reflection.critique:
            yield Text(self._text(reflection.critique))
        for gone in reflection.refuted:
            yield Text.assemble((f"x {gone.hypothesis} refuted:", "red"), f" {self._text(gone.because)}")

    def _bars(self, step: Step) -> Sequence[Text]:
        if not step.credence:
            return []
        return bars(self._course, self.labels, self._screen, self._screen.width - _INDENT)


def excerpt(text: str) -> str:
    """The beginning of a text that would flood the terminal, with what is left out; other texts unchanged."""
    kept = "\n".join(text[:_MOST_CHARS].split("\n")[:_MOST_LINES])
    if left := len(text) - len(kept):
        return f"{kept.rstrip()} ... ({left:,} more characters: `ddxgraph view` shows them all)"
    return text


def _cost(step: Step) -> str:
    if not step.usage.calls:
        return "no call"
    usage = step.usage
    cached = f" ({usage.cached_tokens} cached)" if usage.cached_tokens is not None else ""
    return f"{usage.prompt_tokens}{cached} + {usage.completion_tokens} tokens, {step.latency_s:.1f} s"


def print_result(console: Console, trace: Trace) -> None:
    """Print the answer of a trace, its path and its cost."""
    screen = Screen(console)
    console.print()
    for line in (*_answer(trace, screen), *_path(trace, screen)):
        console.print(line)
    usage = trace.usage
    share = f", {usage.cache_share:.0%} of prompt tokens cached" if usage.cache_share is not None else ""
    cost = (
        f"{trace.ended.replace('_', ': ', 1)}; {usage.calls} calls, {usage.prompt_tokens} prompt and "
        f"{usage.completion_tokens} completion tokens{share}; backtracks: {trace.backtracks}; "
        f"{trace.elapsed_s:.1f} s; {screen.text(trace.provenance.model)}; trace {trace.id}"
    )
    console.print(Text(cost, style="dim"))
    console.print(Text(NOTICE, style="dim"))


def _answer(trace: Trace, screen: Screen) -> Iterator[Text]:
    if trace.answer is None:
        why = trace.failure.message if trace.failure else "no hypothesis could be named"
        yield Text.assemble(("No answer", "bold"), f" ({trace.outcome}): {excerpt(screen.text(why))}")
        return
    shown = screen.text(choice_in_words(trace.answer, trace.case.options))
    yield Text(f"Answer: {' '.join(excerpt(shown).split())}", style="bold")
    if trace.case.options and trace.distribution:
        spread = "  ".join(f"{key} {share:.0%}" for key, share in trace.distribution.items())
        yield Text.assemble(f"        {spread}   ", (f"from {trace.distribution_from}", "dim"))


def _path(trace: Trace, screen: Screen) -> Iterator[Text]:
    """The path, if it has more than one step."""
    if len(trace.steps) > 1:
        whole = path_line(trace.steps, (), screen.signs)
        path = whole if len(whole) <= _PATH_CHARS else short_path(trace.steps, (), screen.signs)
        yield Text(f"Path: {screen.text(path)}")
