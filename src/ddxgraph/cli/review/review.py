"""`ddxgraph review`: an expert goes through the traversals of a run."""

import getpass
import json
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from ddxgraph.cli.terminal import STDOUT, Exit, counted, fail, say, show_json, spoken
from ddxgraph.common.errors import BadInput, BenchmarkError, CaseConflict, CaseFileError, ScoreError

if TYPE_CHECKING:
    from ddxgraph.cli.review.sitting import Ended, Sitting
    from ddxgraph.nodes.case import Case
    from ddxgraph.training.review.queue import Golds, ReviewQueue
    from ddxgraph.training.review.review import PairAgreement, ReviewerCount


class Only(StrEnum):
    """As `training.review.queue.Only`, without its import."""

    CORRECT = "correct"
    WRONG = "wrong"
    BACKTRACKS = "backtracks"
    UNREVIEWED = "unreviewed"
    DISPUTED = "disputed"


Order = Literal["as-is", "shuffled"]
"""As `training.review.queue.Order`, without its import."""


@spoken
def review(  # noqa: PLR0917 - one parameter an option
    run: Annotated[Path, typer.Argument(help="The folder of a run.")],
    reviewer: Annotated[
        str | None,
        typer.Option(
            envvar="DDXGRAPH_REVIEWER",
            help="Your name, which the reviews carry. By default the name of the login.",
        ),
    ] = None,
    only: Annotated[
        list[Only] | None,
        typer.Option(
            help="Choose traversals: answer correct or wrong (by the gold answer, so the review is not blind), "
            "at least one backtrack, reviewed by nobody, disputed among reviewers. Repeat it to combine "
            "conditions. By default all answered traversals."
        ),
    ] = None,
    order: Annotated[Order, typer.Option(help="Order: as in the run's file, or shuffled.")] = "as-is",
    seed: Annotated[int, typer.Option(help="Seed of --order shuffled.")] = 0,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1, help="Take only the first so many in this order, reviewed or not. By default all."
        ),
    ] = None,
    again: Annotated[bool, typer.Option("--again", help="Also show what you have reviewed before.")] = False,
    show_gold: Annotated[
        bool, typer.Option("--show-gold", help="Show the gold answer with each case.")
    ] = False,
    cases: Annotated[
        Path | None,
        typer.Option(
            help="The case file with the gold answers, if they are to be shown and the run was made from a file."
        ),
    ] = None,
    summary: Annotated[
        bool,
        typer.Option(
            "--summary", help="Review nothing; print counts for each reviewer and how far reviewers agree."
        ),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON on stdout.")] = False,
) -> None:
    """Have an expert accept, reject or correct the traversals of a run, one by one.

    Each answered traversal is shown with its case, without the gold answer. A verdict is saved at once to
    reviews.jsonl in the run's folder, with your name and the time. `ddxgraph journeys` uses it to decide whether
    the traversal becomes training data. Repeat the command to resume. The dialogue is on stderr and reads lines:
    it works over ssh, with a screen reader, and from a file.

    Exit code: 0 ended, 2 bad input, 130 interrupted.
    """
    from ddxgraph.cli.review.sitting import Sitting
    from ddxgraph.training.review import queue as queues

    if summary:
        _summarise(queues.ReviewQueue(run, queues.Choice()), as_json)
    else:
        book = _GoldBook(run, cases)
        conditions = frozenset(map(queues.Only, only or ()))
        by_gold = conditions & {queues.Only.CORRECT, queues.Only.WRONG}
        golds = book.golds() if by_gold or show_gold else None
        choice = queues.Choice(conditions, queues.Order(order), seed, limit)
        queue = queues.ReviewQueue(run, choice, golds)
        name = _name(reviewer)
        sitting = Sitting(queue, name, book.in_words, show_gold=show_gold, blind=not by_gold, again=again)
        _greet(queue, sitting, name, again)
        _end(queue, sitting, name, sitting.hold(), as_json)


class _GoldBook:
    """The gold answers of a run, read when the first is asked for."""

    def __init__(self, folder: Path, cases: Path | None) -> None:
        self._folder, self._cases = folder, cases
        self._golds: Golds | None = None

    def golds(self) -> "Golds":
        """Case id to gold answer.

        Raises:
            ScoreError, BenchmarkError, CaseFileError, CaseConflict: there are none for the cases of the run.
        """
        from ddxgraph.eval.cases import CaseFile
        from ddxgraph.eval.scoring.answerkey import answer_key
        from ddxgraph.eval.scoring.run import manifest_of

        if self._golds is None:
            manifest = manifest_of(self._folder)
            benchmark = manifest.selection is not None  # a benchmark brings its own
            key = answer_key(manifest, CaseFile(self._cases) if self._cases and not benchmark else None)
            key.check(manifest)
            self._golds = {case: entry.gold.answer for case, entry in key.entries.items() if entry.gold}
        return self._golds

    def in_words(self, case: "Case") -> str:
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
        raise BadInput("a review needs the reviewer's name: give --reviewer NAME")
    return name


def _greet(queue: "ReviewQueue", sitting: "Sitting", name: str, again: bool) -> None:
    """Say which traversals will be reviewed."""
    chosen = counted(len(queue), "traversal")
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


def _end(queue: "ReviewQueue", sitting: "Sitting", name: str, ended: "Ended", as_json: bool) -> None:
    """Print the result of a sitting, and exit."""
    accepted = sum(review.verdict == "accept" for review in sitting.mine.values())
    summary = {
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
        show_json(json.dumps(summary))
    else:
        verdicts = f"{summary['accepted']} accepted, {summary['rejected']} rejected"
        line = f"{len(sitting.mine)} of {len(queue)} reviewed by {name}: {verdicts}; {sitting.left} left"
        STDOUT.print(line, markup=False)
    if ended.interrupted:
        fail("stopped; the same command goes on from there", Exit.INTERRUPTED)


def _summarise(queue: "ReviewQueue", as_json: bool) -> None:
    """Print counts for each reviewer, and how far reviewers agree."""
    from ddxgraph.training.review.review import agreements, counts

    reviewed = [item for item in queue.items if item.reviews]
    by_trace = [item.reviews for item in reviewed]
    disputed = sum(len({review.verdict for review in reviews}) > 1 for reviews in by_trace)
    people, pairs = counts(by_trace), agreements(by_trace)
    summary = {
        "run": str(queue.folder),
        "answered": len(queue),
        "reviewed": len(reviewed),
        "accepted": sum(item.approved for item in reviewed),
        "disputed": disputed,
        "outdated": queue.outdated,
        "reviewers": [{**person._asdict(), "rejected": person.rejected} for person in people],
        "agreement": [{**pair._asdict(), "percent": pair.percent} for pair in pairs],
    }
    if as_json:
        show_json(json.dumps(summary))
        return
    lines = [
        "{reviewed} of {answered} answered traversals reviewed: {accepted} accepted by all who saw them; "
        "{disputed} disputed".format(**summary),
        *map(_person, people),
        *map(_pair, pairs),
    ]
    if queue.outdated:
        lines.append(
            f"{queue.outdated} reviews are of traces that were replaced since, or are gone: not counted"
        )
    for line in lines:
        STDOUT.print(line, markup=False)


def _person(person: "ReviewerCount") -> str:
    from ddxgraph.cli.review.sitting import REASONS
    from ddxgraph.training.review.review import Objection

    reasons = ", ".join(f"{REASONS[Objection(key)]} {count}" for key, count in person.reasons.items())
    why = f" ({reasons})" if reasons else ""
    return (
        f"{person.reviewer}: {person.reviewed} reviewed, {person.blind} of them blind; "
        f"{person.accepted} accepted, {person.rejected} rejected{why}; {person.answers} answers given"
    )


def _pair(pair: "PairAgreement") -> str:
    kappa = "not defined, both always said the same" if pair.kappa is None else f"{pair.kappa:.2f}"
    return (
        f"{pair.first} and {pair.second}: {pair.traces} in common, agreement {pair.percent:.1f}%, "
        f"Cohen's kappa {kappa}"
    )
