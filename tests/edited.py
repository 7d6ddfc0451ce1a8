"""Journeys that an expert edits: on a thread, with pauses, by a model that heeds what it is told."""

import re
from functools import cache

from journeys import AT_ONCE, CASE, STRAIGHT, answer, reflection
from langgraph.checkpoint.memory import InMemorySaver

from ddxgraph import Trace, build_graph, trace_of
from ddxgraph.testing import ScriptedChatModel

STOPS = ("review_history", "generate_differential", "check_evidence", "reflect", "conclude")
FINDING = {"quote": "no leg swelling", "kind": "sign", "polarity": "absent", "salience": 2}
EDITS = {
    "review_history": {"findings": [FINDING]},
    "generate_differential": {"asks": "treatment"},
    "check_evidence": {"critique": "think of the heart"},
    "reflect": {"evidence": {"B": {"F1": -2}}},
    "conclude": {"refuted": [{"hypothesis": "B", "because": "the radiograph is clear"}]},
}
"""What an expert changes before each stop."""


def leader(request):
    """A conclusion that names what leads the list that the model is shown."""
    standing = re.search(r"Standing: <data>(\w+) ", str(request.messages[-1].text))
    return answer(standing[1] if standing else "A")


SCRIPT = {**STRAIGHT, "conclude": leader}
BACK = {
    **SCRIPT,
    "reflect": [
        reflection("recheck_evidence", targets=["B"]),
        reflection("widen_differential"),
        reflection(),
    ],
}


class Walk:
    """A journey on a thread, which pauses where it is told."""

    def __init__(self, script=SCRIPT, pauses=(), thread="one", saver=None, **settings):
        self.model = ScriptedChatModel(script=script)
        self.graph = build_graph(
            self.model,
            checkpointer=saver or InMemorySaver(),
            interrupt_before=pauses,
            patience=AT_ONCE,
            **settings,
        )
        self.config = {"configurable": {"thread_id": thread}}

    def begin(self, case=CASE):
        self.graph.invoke({"case": case}, self.config)
        return self

    def edit(self, values, **how):
        self.graph.update_state(self.config, values, **how)
        return self

    @property
    def state(self):
        return self.graph.get_state(self.config)

    def end(self):
        """The trace, once everything has gone on to its end."""
        for _ in range(60):
            if not self.state.next:
                return trace_of(self.state.values)
            self.graph.invoke(None, self.config)
        raise AssertionError("it does not end")


@cache
def edited(stop: str) -> Trace:
    """A journey that goes back twice, and that an expert edited before the first visit to a stop."""
    walk = Walk(BACK, pauses=[stop]).begin().edit(EDITS[stop])
    return walk.end()
