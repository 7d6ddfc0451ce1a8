"""`ddxgraph review`: an expert goes through the traversals of a run."""

import getpass
import json
from pathlib import Path
from typing import Annotated

import typer

from ddxgraph.cli.reviewsitting import REASONS, Ended, Sitting
from ddxgraph.cli.speech import STDOUT, Exit, fail, say, spoken
from ddxgraph.common.errors import BenchmarkError, CaseConflict, CaseFileError, ScoreError
from ddxgraph.eval.cases import CaseFile
from ddxgraph.eval.scoring.run import answer_key, manifest_of
from ddxgraph.nodes.case import Case
from ddxgraph.training.review.agreement import PairAgreement, ReviewerCount, agreements, counts
from ddxgraph.training.review.queue import Choice, Golds, Only, Order, ReviewQueue
from ddxgraph.training.review.review import Objection


@spoken
def review(  # noqa: PLR0917 - one parameter an option
    run: Annotated[Path, typer.Argument(help="A run's folder.")],
    reviewer: Annotated[
        str | None,
        typer.Option(
            envvar="DDXGRAPH_REVIEWER", help="Your name, as it stands in the reviews; else the user's."
        ),
    ] = None,
    only: Annotated[
        list[Only] | None,
        typer.Option(
            help="Traversals whose answer is correct or wrong by the gold answer (no blind review then); that "
            "went back at least once; that nobody has reviewed; that reviewers dispute. Several: all must hold."
        ),
    ] = None,
    order: Annotated[Order, typer.Option(help="As the file has them, or shuffled.")] = Order.AS_IS,
    seed: Annotated[int, typer.Option(help="Gives another order to --order shuffled.")] = 0,
    limit: Annotated[
        int | None, typer.Option(min=1, help="The first so many of the order, whoever has reviewed them.")
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Show also what you have reviewed before.")] = False,
    show_gold: Annotated[
        bool, typer.Option("--show-gold", help="Show the gold answer with each case.")
    ] = False,
    cases: Annotated[
        Path | None,
        typer.Option(
            help="The case file that the run was made of, with its gold answers, if they are to be shown."
        ),
    ] = None,
    summary: Annotated[
        bool,
        typer.Option("--summary", help="Review nothing: counts a reviewer, and how far reviewers agree."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
) -> None:
    """Have an expert accept, reject or correct the traversals of a run, one by one.

    Each answered traversal is shown with its case; the gold answer is not. A verdict is added to reviews.jsonl in
    the run's folder at once, with your name and the time, and decides in `ddxgraph journeys` whether the
    traversal is learned from. The same command goes on where it was broken off. The dialogue is on stderr and
    reads lines: it works over ssh, with a screen reader, and from a file.

    Exit code: 0 ended, 2 bad input, 130 interrupted.
    """
    if summary:
        _summarise(ReviewQueue(run, Choice()), as_json)
    else:
        book = _GoldBook(run, cases)
        by_gold = {Only.CORRECT, Only.WRONG} & set(only or ())
        golds = book.golds() if by_gold or show_gold else None
        queue = ReviewQueue(run, Choice(frozenset(only or ()), order, seed, limit), golds)
        name = _name(reviewer)
        sitting = Sitting(queue, name, book.in_words, show_gold=show_gold, blind=not by_gold, again=again)
        _greet(queue, sitting, name, again)
        _end(queue, sitting, name, sitting.hold(), as_json)


class _GoldBook:
    """The gold answers of a run, read when the first one is asked for."""

    def __init__(self, folder: Path, cases: Path | None) -> None:
        self._folder, self._cases = folder, cases
        self._golds: Golds | None = None

    def golds(self) -> Golds:
        """All of them.

        Raises:
            ScoreError, BenchmarkError, CaseFileError, CaseConflict: there are none, or not of these cases.
        """
        if self._golds is None:
            manifest = manifest_of(self._folder)
            benchmark = manifest.selection is not None  # which has its own
            key = answer_key(manifest, CaseFile(self._cases) if self._cases and not benchmark else None)
            key.check(manifest)
            self._golds = {case: entry.gold.answer for case, entry in key.entries.items() if entry.gold}
        return self._golds

    def in_words(self, case: Case) -> str:
        """The gold answer of a case, or why it is not known."""
        try:
            gold = self.golds().get(case.id)
        except (BenchmarkError, CaseConflict, CaseFileError, ScoreError) as error:
            return f"not known ({error})"
        if gold is None:
            return "not known"
        return f"{gold}. {case.options[gold]}" if gold in case.options else gold


def _name(reviewer: str | None) -> str:
    if reviewer is None:
        try:
            reviewer = getpass.getuser()
        except (OSError, KeyError, ImportError):  # as in a container without users
            reviewer = ""
    name = " ".join(reviewer.split())
    if not name or not name.isprintable() or len(name) > 200:  # noqa: PLR2004 - as `Review` has it
        fail("a review needs the reviewer's name: give --reviewer NAME", Exit.BAD_INPUT)
    return name


def _greet(queue: ReviewQueue, sitting: Sitting, name: str, again: bool) -> None:
    """Say what is to come."""
    chosen = f"{len(queue)} traversals" if len(queue) != 1 else "1 traversal"
    done = f", {len(sitting.mine)} of them reviewed by you before" if sitting.mine else ""
    say(f"reviewing {queue.folder} as {name}: {chosen}{done}")
    if queue.unanswered:
        say(f"{queue.unanswered} more have no answer and are left out")
    if queue.outdated:
        say(f"{queue.outdated} earlier reviews are of traces that were replaced since, or are gone")
    if not len(queue):
        say("there is nothing to review")
    elif not sitting.left and not again:
        say("you have reviewed them all: --again shows them once more")


def _end(queue: ReviewQueue, sitting: Sitting, name: str, ended: Ended, as_json: bool) -> None:
    """Print what came of a sitting, and exit."""
    accepted = sum(one.verdict == "accept" for one in sitting.mine.values())
    told = {
        "run": str(queue.folder),
        "reviewer": name,
        "chosen": len(queue),
        "reviewed": len(sitting.mine),
        "accepted": accepted,
        "rejected": len(sitting.mine) - accepted,
        "left": sitting.left,
        "saved": ended.saved,
        "skipped": ended.skipped,
    }
    if as_json:
        typer.echo(json.dumps(told))
    else:
        verdicts = f"{told['accepted']} accepted, {told['rejected']} rejected"
        line = f"{len(sitting.mine)} of {len(queue)} reviewed by {name}: {verdicts}; {sitting.left} left"
        STDOUT.print(line, markup=False)
    if ended.interrupted:
        fail("stopped; the same command goes on from there", Exit.INTERRUPTED)


def _summarise(queue: ReviewQueue, as_json: bool) -> None:
    """Print what all reviewers said."""
    reviewed = [one for one in queue.items if one.reviews]
    by_trace = [one.reviews for one in reviewed]
    disputed = sum(len({review.verdict for review in reviews}) > 1 for reviews in by_trace)
    people, pairs = counts(by_trace), agreements(by_trace)
    told = {
        "run": str(queue.folder),
        "answered": len(queue),
        "reviewed": len(reviewed),
        "accepted": sum(one.approved for one in reviewed),
        "disputed": disputed,
        "outdated": queue.outdated,
        "reviewers": [{**one._asdict(), "rejected": one.rejected} for one in people],
        "agreement": [{**one._asdict(), "percent": one.percent} for one in pairs],
    }
    if as_json:
        typer.echo(json.dumps(told))
        return
    lines = [
        "{reviewed} of {answered} answered traversals reviewed: {accepted} accepted by all who saw them; "
        "{disputed} disputed".format(**told),
        *map(_person, people),
        *map(_pair, pairs),
    ]
    if queue.outdated:
        lines.append(
            f"{queue.outdated} reviews are of traces that were replaced since, or are gone: not counted"
        )
    for line in lines:
        STDOUT.print(line, markup=False)


def _person(one: ReviewerCount) -> str:
    reasons = ", ".join(f"{REASONS[Objection(key)]} {count}" for key, count in one.reasons.items())
    why = f" ({reasons})" if reasons else ""
    return (
        f"{one.reviewer}: {one.reviewed} reviewed, {one.blind} of them blind; {one.accepted} accepted, "
        f"{one.rejected} rejected{why}; {one.answers} answers given"
    )


def _pair(one: PairAgreement) -> str:
    kappa = "not defined, both always said the same" if one.kappa is None else f"{one.kappa:.2f}"
    return (
        f"{one.first} and {one.second}: {one.traces} in common, agreement {one.percent:.1f}%, "
        f"Cohen's kappa {kappa}"
    )
