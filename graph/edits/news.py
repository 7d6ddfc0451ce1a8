"""What an expert changed, as the model is told it before its next turn."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

from ddxgraph.graph.trace import Step
from ddxgraph.nodes.expert_edit import NODE, ExpertEdit
from ddxgraph.prompts.library import PromptSet


def changes_since_reply(steps: Sequence[Step]) -> list[str]:
    """The changes by experts that the model has not been told of, a sentence each.

    Args:
        steps: of the journey so far.

    Returns:
        The changes since the last reply, in order; none if nothing was edited.
    """
    if not steps or (steps[-1].node != NODE and steps[-1].text):  # the usual case
        return []
    since = next((place for place in range(len(steps), 0, -1) if steps[place - 1].text), 0)
    edits = (step.output for step in steps[since:])
    return [change for edit in edits if isinstance(edit, ExpertEdit) for change in edit.changes]


def news_since_reply(steps: Sequence[Step], prompts: PromptSet) -> str:
    """The beginning of the next turn: what an expert changed since the last reply; empty if nothing."""
    return told_as_news(changes_since_reply(steps), prompts)


def told_as_news(changes: Sequence[str], prompts: PromptSet) -> str:
    """The beginning of a turn that tells the model of changes; empty without any.

    Args:
        changes: a sentence each.
        prompts: of the graph. The text is `expert_edit.jinja` of its folder, or the shipped one if it has none.
    """
    return _of(prompts.folder).render(NODE, changes=changes) if changes else ""


@lru_cache(maxsize=8)
def _of(folder: Path) -> PromptSet:
    """A set of its own, so that the ids of journeys without edits do not depend on it."""
    return PromptSet(folder if (folder / f"{NODE}.jinja").is_file() else None, names=(NODE,))
