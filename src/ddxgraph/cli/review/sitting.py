"""The dialogue of `ddxgraph review`: one traversal after another, each verdict saved at once."""

import io
import sys
from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from textwrap import fill
from typing import Final, NamedTuple

from rich.text import Text

from ddxgraph.cli.review.screen import WIDTH, TraversalScreen, harmless
from ddxgraph.cli.terminal import STDERR
from ddxgraph.eval.scoring.rule import Verdict, verdict_of
from ddxgraph.graph.trace import Trace
from ddxgraph.nodes.case import Case
from ddxgraph.training.review.file import append_review
from ddxgraph.training.review.queue import ReviewQueue
from ddxgraph.training.review.review import Objection, Review, content_digest

KEYS: Final[Mapping[str, str]] = {
    "a": "accept",
    "r": "reject",
    "c": "correct the answer",
    "n": "note",
    "s": "skip",
    "b": "back",
    "f": "full text of a step (f 3)",
    "g": "gold answer",
    "v": "view again",
    "q": "quit",
}
PROMPT: Final = fill(", ".join(f"{key} {words}" for key, words in KEYS.items()), 79)

REASONS: Final[Mapping[Objection, str]] = {
    Objection.WRONG_ANSWER: "wrong answer",
    Objection.UNSUPPORTED_REASONING: "unsupported reasoning",
    Objection.INVENTED_FINDING: "invented finding",
    Objection.DANGEROUS_ADVICE: "dangerous advice",
    Objection.MISREAD_CASE: "misread the case",
    Objection.POOR_WORDING: "poor wording",
    Objection.OTHER: "other",
}
_NUMBERED: Final = fill(
    f"Why? {', '.join(f'{number} {words}' for number, words in enumerate(REASONS.values(), 1))}.", 79
)

_ABOUT_CHARS: Final = 200
"""Most characters of the ids above a case."""

_IN_WORDS: Final = "The correct answer in words (where the journey's means the same, accept it with a)"

GoldOf = Callable[[Case], str]
"""The gold answer of a case in words, or why it is not known."""


class Ended(NamedTuple):
    """How a sitting ended."""

    saved: int
    """Reviews written, replaced ones included."""
    skipped: int
    interrupted: bool


class _EndOfInput(Exception):  # noqa: N818 - no error
    """The input has ended."""


class Sitting:
    """Takes a reviewer through a queue.

    Args:
        queue: the traversals.
        reviewer: the reviewer's name.
        gold_of: called for a gold answer when it is shown, not before.
        show_gold: show the gold answer with the case.
        blind: the choice of traversals does not reveal whether they are correct.
        again: also show what the reviewer has reviewed before.
    """

    def __init__(
        self,
        queue: ReviewQueue,
        reviewer: str,
        gold_of: GoldOf,
        *,
        show_gold: bool = False,
        blind: bool = True,
        again: bool = False,
    ) -> None:
        self._queue, self._reviewer, self._gold_of = queue, reviewer, gold_of
        self._show_gold, self._blind = show_gold, blind and not show_gold
        self.mine: dict[str, Review] = {
            item.id: review for item in queue.items for review in item.reviews if review.reviewer == reviewer
        }
        """Trace id to this reviewer's latest review."""
        self._settled = set() if again else set(self.mine)
        """Traces that are not shown any more."""
        self._notes: dict[str, str] = {}
        """Trace id to a note that is saved with its verdict."""
        self._revealed: set[str] = set()
        """Cases whose gold answer was shown during this sitting."""
        self._judged: Case | None = None
        """The case of the last verdict."""
        self._skipped: set[str] = set()
        self._saved = 0
        self._place = self._pending(0)
        self._over = False
        self._actions: Mapping[str, Callable[[Trace, str], bool]] = {
            "a": self._accept,
            "r": self._reject,
            "c": self._correct,
            "n": self._note,
            "s": self._skip,
            "b": self._back,
            "f": self._full,
            "g": self._gold,
            "v": self._view,
            "q": self._quit,
        }

    @property
    def left(self) -> int:
        """Traversals that this reviewer has not reviewed."""
        return len(self._queue) - len(self.mine)

    def hold(self) -> Ended:
        """Run the dialogue until the reviewer ends it or has seen all.

        Raises:
            ReviewError: a review cannot be saved; those before it are.
        """
        if isinstance(sys.stdin, io.TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        interrupted = False
        self._over = self._place == len(self._queue)
        try:
            while not self._over:
                if self._place < len(self._queue):
                    self._present(self._queue.trace(self._place))
                else:
                    self._close()
        except _EndOfInput:
            _say("")
        except KeyboardInterrupt:
            interrupted = True
            _say("")
        finally:
            for trace, note in self._notes.items():
                _say(
                    harmless(f"Not saved, since it came with no verdict: your note on trace {trace}: {note}")
                )
        return Ended(self._saved, len(self._skipped), interrupted)

    def _pending(self, start: int) -> int:
        """The first place from `start` on to show; the end of the queue if there is none."""
        places = range(start, len(self._queue))
        return next((n for n in places if self._queue.items[n].id not in self._settled), len(self._queue))

    def _present(self, trace: Trace) -> None:
        """Show a traversal, and obey the reviewer until it is left."""
        self._view(trace, "")
        while True:
            line = _ask(f"{PROMPT}\n> ")
            key, _, rest = line.partition(" ")
            action = self._actions.get(_key(key))
            if action is None or (rest.strip() and _key(key) not in {"r", "c", "n", "f"}):
                _say(f"Not understood: type one of the letters and Enter. Nothing was done{_quoted(line)}.")
            elif action(trace, rest.strip()):
                return

    def _close(self) -> None:
        """All have been seen: go back, show a gold answer, or end."""
        line = _ask("That was the last one. b back to it, g its gold answer, q or Enter ends\n> ")
        match _key(line.strip()) or line.strip():
            case "b":
                self._place = len(self._queue) - 1
            case "g":
                self._tell_gold()
            case "q" | "":
                self._over = True
            case _:
                _say("Not understood: type b, g or q and Enter.")

    def _view(self, trace: Trace, _: str) -> bool:
        accepted = sum(review.verdict == "accept" for review in self.mine.values())
        verdicts = f"{accepted} accepted, {len(self.mine) - accepted} rejected"
        head = f"{self._place + 1} of {len(self._queue)}, {verdicts}"
        about = f"case {trace.case.id}, sample {trace.sample}, trace {trace.id}"
        lines = ["", f"==== {head} ====", harmless(about[:_ABOUT_CHARS]), "", *_screen(trace).lines(), ""]
        if self._show_gold:
            lines += [harmless(f"GOLD    {self._gold_of(trace.case)}"), ""]
        mine = self.mine.get(trace.id)
        if mine:
            lines.append(f"You {_in_words(mine)} ({mine.time:%Y-%m-%d %H:%M} UTC).")
        if note := self._notes.get(trace.id) or (mine.note if mine else ""):
            lines.append(harmless(f"Your note: {note}"))
        _say(*lines)
        return False

    def _accept(self, trace: Trace, _: str) -> bool:
        return self._decide(trace, verdict="accept")

    def _reject(self, trace: Trace, typed: str) -> bool:
        asking = f"{_NUMBERED}\nA number, then words if you like; Enter alone: no verdict\n> "
        while typed := typed or _ask(asking).strip():
            number, _, detail = typed.partition(" ")
            if not number.isdecimal() or not 1 <= int(number) <= len(REASONS):
                _say(f"A number from 1 to {len(REASONS)} comes first.")
            else:
                reason = list(REASONS)[int(number) - 1]
                if reason is Objection.OTHER and not detail.strip():
                    detail = _ask("In your words; Enter alone: no verdict\n> ")
                if reason is not Objection.OTHER or detail.strip():
                    return self._decide(trace, verdict="reject", reason=reason, detail=detail)
                break
            typed = ""
        _say("No verdict was given.")
        return False

    def _correct(self, trace: Trace, typed: str) -> bool:
        """Take the given answer as the gold answer."""
        options = trace.case.options
        asking = (
            f"The correct letter ({', '.join(options)}), then words if you like" if options else _IN_WORDS
        )
        while typed := typed or _ask(f"{asking}; Enter alone: no verdict\n> ").strip():
            given = _letter_and_words(typed, options) if options else (typed, "")
            if given and len(given[0]) > (not options):  # a single letter is a slip where words are asked for
                answer, detail = given
                if verdict_of(trace.outcome, trace.answer, answer, options) is Verdict.CORRECT:
                    return self._decide(trace, verdict="accept", answer=answer, detail=detail)
                wrong = Objection.WRONG_ANSWER
                return self._decide(trace, verdict="reject", reason=wrong, answer=answer, detail=detail)
            _say("That is no answer.")
            typed = ""
        _say("No verdict was given.")
        return False

    def _decide(self, trace: Trace, **fields: object) -> bool:
        self._save(trace, fields)
        return self._leave(trace)

    def _save(self, trace: Trace, fields: Mapping[str, object]) -> None:
        before = self.mine.get(trace.id)
        note = self._notes.get(trace.id) or (before.note if before else "")
        known = {
            "trace": trace.id,
            "content": content_digest(trace),
            "case": trace.case.id,
            "note": note,
            "blind": self._blind and trace.case.id not in self._revealed,
            "reviewer": self._reviewer,
            "time": datetime.now(UTC).replace(microsecond=0),
        }
        review = Review.model_validate({**known, **fields})
        append_review(self._queue.folder, review)
        self._saved += 1
        self.mine[trace.id] = review
        self._notes.pop(trace.id, None)
        self._skipped.discard(trace.id)
        self._judged = trace.case
        _say(harmless(f"Saved: {_in_words(review)}."))

    def _note(self, trace: Trace, typed: str) -> bool:
        note = typed or _ask("Your note; Enter alone: none\n> ").strip()
        before = self.mine.get(trace.id)
        if not note:
            _say("No note was taken.")
        elif before is None:
            self._notes[trace.id] = note
            _say("Noted; it is saved with your verdict.")
        else:
            self._notes[trace.id] = note
            self._save(trace, before.model_dump(include={"verdict", "reason", "detail", "answer"}))
        return False

    def _skip(self, trace: Trace, _: str) -> bool:
        if trace.id not in self.mine:
            self._skipped.add(trace.id)
        return self._leave(trace)

    def _leave(self, trace: Trace) -> bool:
        self._settled.add(trace.id)
        self._place = self._pending(self._place + 1)
        return True

    def _back(self, _trace: Trace, _: str) -> bool:
        if self._place == 0:
            _say("This is the first one.")
            return False
        self._place -= 1
        return True

    def _full(self, trace: Trace, typed: str) -> bool:
        steps = len(trace.steps)
        typed = typed or _ask(f"Which step, 1 to {steps}? 0 is the case\n> ").strip()
        if typed.isdecimal() and int(typed) <= steps:
            screen = _screen(trace, whole=True)
            _say("", *(screen.step(int(typed)) if int(typed) else screen.case()), "")
        else:
            _say(f"There is no such step: f 1 to f {steps}, or f 0 for the case.")
        return False

    def _gold(self, trace: Trace, _: str) -> bool:
        if trace.id in self.mine or self._show_gold:
            self._judged = trace.case
        self._tell_gold()
        return False

    def _tell_gold(self) -> None:
        """Show the gold answer of the case that got the last verdict."""
        case = self._judged
        if case is None:
            _say("The gold answer is shown once you have given your verdict.")
            return
        self._revealed.add(case.id)
        _say(harmless(f"Gold answer of the case you judged last, {case.id}: {self._gold_of(case)}"))

    def _quit(self, _trace: Trace, _: str) -> bool:
        self._over = True
        return True


def _screen(trace: Trace, *, whole: bool = False) -> TraversalScreen:
    return TraversalScreen(trace, min(STDERR.width, WIDTH), whole=whole)


def _letter_and_words(typed: str, options: Collection[str]) -> tuple[str, str] | None:
    """An option's letter and what follows it; None if the line does not begin with one."""
    letter, _, words = typed.partition(" ")
    letter = letter.rstrip(".:,").upper()
    return (letter, words) if letter in options else None


def _key(word: str) -> str:
    """The key for a letter or its word, in upper or lower case; empty if there is none."""
    word = word.casefold()
    return next((key for key, words in KEYS.items() if word in {key, words.split()[0]}), "")


def _in_words(review: Review) -> str:
    """The verdict of a review in words."""
    reason = REASONS[review.reason] if review.reason else ""
    why = ": ".join(filter(None, (reason, review.detail)))
    answer = f"; the answer is {review.answer}" if review.answer else ""
    return f"{review.verdict}ed{f' ({why})' if why else ''}{answer}"


def _quoted(typed: str) -> str:
    return f' with "{harmless(typed)[:40]}"' if typed.strip() else ""


def _say(*lines: str) -> None:
    STDERR.print(Text("\n".join(lines)), soft_wrap=True)


def _ask(question: str) -> str:
    """A line from the reviewer.

    Raises:
        _EndOfInput: there is no more.
    """
    STDERR.print(Text(question), end="", soft_wrap=True)
    line = sys.stdin.readline() if sys.stdin else ""
    if not line:
        raise _EndOfInput
    if not sys.stdin.isatty():  # a terminal has shown the line already
        _say(harmless(line.rstrip("\n")))
    return line.rstrip("\r\n")
