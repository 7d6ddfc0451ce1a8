"""A journey in the terminal: one block a step as it is taken, then the answer."""

from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding

from ddxgraph.graph.trace import Step, Trace
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.check_evidence import EvidenceCheck
from ddxgraph.nodes.conclude import Conclusion
from ddxgraph.nodes.generate import Generation
from ddxgraph.nodes.generate_differential import Differential
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.nodes.review_history import History
from ddxgraph.view.notice import NOTICE
from ddxgraph.view.stopname import STOP_NAMES, step_title

_BAR_CELLS = 20


class JourneyPrinter:
    """Prints steps as they come. Signs carry the meaning, colour only repeats it.

    Args:
        console: where to print; stderr for progress.
        case: the case, for the words of its options.
    """

    def __init__(self, console: Console, case: Case) -> None:
        self._console = console
        self._labels: dict[str, str] = dict(case.options)
        self._quotes: dict[str, str] = {}

    def step(self, step: Step) -> None:
        """Print one step."""
        title = step_title(step)
        cost = _cost(step)
        self._console.print(f"[bold]{step.index + 1:>2}. {escape(title)}[/bold] [dim]{cost}[/dim]")
        for line in self._lines(step):
            self._console.print(Padding(line, (0, 0, 0, 4)))

    def _lines(self, step: Step) -> Sequence[str]:
        lines = self._thought(step)
        if step.failure:
            lines.append(f"[red]! {escape(step.failure.message)}[/red]")
        elif step.attempts:
            lines.append("[yellow]! the first reply did not fit its schema and was repaired[/yellow]")
        if step.move.backtrack:
            lines.append(
                f"[magenta]<- back to {STOP_NAMES[step.move.to].lower()}[/magenta]"
                f" [dim]({step.move.trigger}: {escape(step.move.reason)})[/dim]"
            )
        elif step.move.trigger == "budget":
            lines.append(f"[yellow]-> conclude[/yellow] [dim](budget: {escape(step.move.reason)})[/dim]")
        return lines

    def _thought(self, step: Step) -> list[str]:  # noqa: PLR0911 - one a kind of output
        match step.output:
            case History() as history:
                return self._history(history)
            case Differential() as differential:
                return self._differential(differential, step.credence)
            case EvidenceCheck() as check:
                return self._evidence(check)
            case Reflection() as reflection:
                return self._reflection(reflection, step.credence)
            case Conclusion() as conclusion:
                return [f"[italic]{escape(conclusion.justification)}[/italic]"]
            case Generation():
                return [escape(step.text)]
            case None:
                return []

    def _history(self, history: History) -> list[str]:
        self._quotes |= {finding.id: finding.quote for finding in history.findings}
        lines = [f"asks for: {history.asks.replace('_', ' ')}"]
        for finding in history.findings:
            sign = "no" if finding.polarity == "absent" else "  "
            kind = finding.kind.replace("_", " ")
            lines.append(
                f'{finding.id:>3} {sign} "{escape(finding.quote)}" [dim]{kind}, {"*" * finding.salience}[/dim]'
            )
        if history.unquoted:
            lines.append(f"[dim]{history.unquoted} dropped: not quoted from the case[/dim]")
        return lines

    def _differential(self, differential: Differential, credence: Mapping[str, float]) -> list[str]:
        self._labels |= {hypothesis.id: hypothesis.label for hypothesis in differential.hypotheses}
        return self._bars(credence)

    def _evidence(self, check: EvidenceCheck) -> list[str]:
        lines = [f"[dim]{escape(self._labels.get(check.hypothesis, ''))}[/dim]"]
        for weight in check.weights:
            quote = self._quotes.get(weight.finding, "the case as a whole")
            sign = "0" if weight.strength == 0 else "+" * weight.strength or "-" * -weight.strength
            lines.append(f'{sign:>3} {weight.stance} [dim]"{escape(quote)}"[/dim] {escape(weight.reason)}')
        return lines

    def _reflection(self, reflection: Reflection, credence: Mapping[str, float]) -> list[str]:
        lines = [escape(reflection.critique)] if reflection.critique else []
        lines += [f"[red]x {r.hypothesis} refuted:[/red] {escape(r.because)}" for r in reflection.refuted]
        return lines + self._bars(credence)

    def _bars(self, credence: Mapping[str, float]) -> list[str]:
        lines = []
        for key, share in credence.items():
            bar = "#" * round(share * _BAR_CELLS)
            label = escape(self._labels.get(key, key))
            lines.append(f"{key:>3} [cyan]{bar:<{_BAR_CELLS}}[/cyan] {share:>4.0%} {label}")
        return lines


def _cost(step: Step) -> str:
    if not step.usage.calls:
        return "no call"
    usage = step.usage
    cached = f" ({usage.cached_tokens} cached)" if usage.cached_tokens is not None else ""
    return f"{usage.prompt_tokens}{cached} + {usage.completion_tokens} tokens, {step.latency_s:.1f} s"


def print_result(console: Console, trace: Trace) -> None:
    """Print the answer of a trace and what it cost."""
    console.print()
    if trace.answer is None:
        why = trace.failure.message if trace.failure else "no hypothesis could be named"
        console.print(f"[bold]No answer[/bold] ({trace.outcome}): {escape(why)}")
    else:
        text = trace.case.options.get(trace.answer)
        shown = f"{trace.answer}. {text}" if text else trace.answer
        console.print(f"[bold]Answer: {escape(shown)}[/bold]")
        if trace.case.options and trace.distribution:
            spread = "  ".join(f"{key} {share:.0%}" for key, share in trace.distribution.items())
            console.print(f"        {spread}   [dim]from {trace.distribution_from}[/dim]")
    usage = trace.usage
    share = f", {usage.cache_share:.0%} of prompt tokens cached" if usage.cache_share is not None else ""
    console.print(
        f"[dim]{trace.ended.replace('_', ': ', 1)}; {usage.calls} calls, {usage.prompt_tokens} prompt and "
        f"{usage.completion_tokens} completion tokens{share}; backtracks: {trace.backtracks}; "
        f"{trace.elapsed_s:.1f} s; {escape(trace.provenance.model)}; trace {trace.id}[/dim]"
    )
    console.print(f"[dim]{NOTICE}[/dim]")
