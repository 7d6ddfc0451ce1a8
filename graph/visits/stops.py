"""Visits to the stops: each calls its node and moves on as the routing decides."""

from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from threading import Lock
from typing import Any, cast
from weakref import WeakValueDictionary

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END
from langgraph.types import Command, Send

from ddxgraph.graph.conversation import Exchange, Repeated
from ddxgraph.graph.credence import margin
from ddxgraph.graph.edits.edit import edited_setting
from ddxgraph.graph.plan import Plan
from ddxgraph.graph.replay import START, learned
from ddxgraph.graph.routing import Move, Standing, after_reflection, to_check
from ddxgraph.graph.state import (
    Journey,
    backtracks_so_far,
    goes_back,
    journey_of,
    last_stop,
    restarting,
    update_to,
)
from ddxgraph.graph.visits.checks import Check, Turns
from ddxgraph.graph.visits.visit import Entry, Visit, broken_by, open_line, step_of
from ddxgraph.nodes.call.consultation import Allowance, run_blocking
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.check_evidence import CHECK_EVIDENCE, check_evidence
from ddxgraph.nodes.failure import EngineFailed
from ddxgraph.nodes.generate_differential import GENERATE_DIFFERENTIAL
from ddxgraph.nodes.reflect import REFLECT, Reflection
from ddxgraph.nodes.registry import STOPS
from ddxgraph.nodes.review_history import REVIEW_HISTORY
from ddxgraph.nodes.stop import AnyStop, Standpoint, TrunkStop


class Visited(Runnable[Any, Any]):
    """A stop as LangGraph runs it: one coroutine function behind `invoke` and `ainvoke`."""

    def __init__(
        self,
        name: str,
        visit: Callable[[Any, Entry], Coroutine[Any, Any, Any]],
        turn: Callable[[Any], AbstractContextManager[Any]] = nullcontext,
    ) -> None:
        self.name = name
        self._visit = visit
        self._turn = turn

    def invoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Any:  # noqa: A002
        """Visit on the calling thread, without an event loop."""
        with self._turn(input):
            return run_blocking(self._visit(input, Entry(config or {}, blocking=True)))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Any:  # noqa: A002
        """Visit on the running event loop."""
        return await self._visit(input, Entry(config or {}, blocking=False))


class Visitor:
    """Visits stops over one plan.

    On an engine that runs the calls of a conversation in turn, so do the checks of a round: on an event loop by
    LangGraph's `max_concurrency`, on threads by `Turns`.
    """

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._sent: dict[str, Turns] = {}
        """The round that each traversal has sent out, until it is over."""
        self._turns: WeakValueDictionary[str, Turns] = WeakValueDictionary()
        """The same by trace id, and rounds that another process sent out, as long as a check needs them."""
        self._looking = Lock()

    def to(self, stop: AnyStop) -> Visited:
        """The node of LangGraph for a stop."""
        if isinstance(stop, TrunkStop):
            visit = self.open if stop is STOPS.first else self.visit
            return Visited(stop.name, partial(visit, stop))
        return Visited(stop.name, self.check, self._turn_of if self._plan.serial else nullcontext)

    def _announce(self, trace_id: str, sent: Sequence[Send]) -> None:
        """Note the order of a round before any of its checks runs."""
        turns = Turns([send.arg["hypothesis"].id for send in sent])
        with self._looking:
            self._sent[trace_id] = self._turns[trace_id] = turns

    @contextmanager
    def _turn_of(self, check: Check) -> Iterator[None]:
        """The turn of a check within its traversal's round."""
        key = check["setting"].trace_id
        with self._looking:
            turns = self._turns.get(key) or Turns()
            self._turns[key] = turns
        with turns.of(check["hypothesis"].id):
            yield
        with self._looking:
            if turns.over and self._sent.get(key) is turns:
                del self._sent[key]

    async def open(self, stop: TrunkStop[Any], state: Journey, entry: Entry) -> Command[Any]:
        """Visit the first stop: open the journey, or come back to it.

        Args:
            stop: the first stop.
            state: the journey so far, if any.
            entry: how LangGraph calls the stop.

        Returns:
            The command for LangGraph.

        Raises:
            CaseTooLong: the case does not fit the context window.
        """
        if state.get("steps"):
            state = journey_of(state)
        if goes_back(state):
            return await self._visit(stop, state, entry)
        case = Case.model_validate(state.get("case"))
        sample = state.get("sample", 0)
        opening: Journey = {"case": case, "sample": sample, "setting": self._plan.setting(case, sample)}
        if "setting" not in state and state.get("steps"):  # an expert has edited before the first stop
            opening["setting"] = edited_setting(opening["setting"], state["steps"], self._plan)
            return await self._visit(stop, {**state, **opening}, entry, opening)
        command = await self._visit(stop, opening, entry, opening)
        if "setting" in state and isinstance(command.update, dict):
            return Command(update=restarting(state, cast(Journey, command.update)), goto=command.goto)
        return command

    async def visit(self, stop: TrunkStop[Any], state: Journey, entry: Entry) -> Command[Any]:
        """Visit a stop on the trunk. If it joins checks of which one failed, the journey ends.

        Args:
            stop: the stop.
            state: the journey so far.
            entry: how LangGraph calls the stop.

        Returns:
            The command for LangGraph.
        """
        if state.get("failure"):
            return Command(goto=END)
        return await self._visit(stop, journey_of(state), entry)

    async def _visit(
        self, stop: TrunkStop[Any], state: Journey, entry: Entry, opening: Journey | None = None
    ) -> Command[Any]:
        visit = Visit(self._plan, state, stop, entry)
        if visit.spent:
            return visit.skip(visit.spent, opening)
        try:
            output = await stop.think(visit.briefing, visit.line)
        except EngineFailed as error:
            return visit.broken(error.failure, opening)
        command = visit.leave(output, partial(self._route, stop, state, output), opening)
        if self._plan.serial and entry.blocking and isinstance(command.goto, list):
            self._announce(state["setting"].trace_id, command.goto)
        return command

    async def check(self, check: Check, entry: Entry) -> Journey:
        """Weigh the findings against one hypothesis, in parallel with the other checks of the round."""
        hypothesis = check["hypothesis"]
        repeated = Repeated([Exchange(*exchange) for exchange in check["told"]], check["summary"])
        purse = Allowance(check["calls"], check["tokens"])
        line = open_line(
            self._plan, check["setting"], check["sample"], repeated, purse, entry, check.get("news", "")
        )
        leave = partial(
            step_of,
            self._plan,
            CHECK_EVIDENCE,
            CHECK_EVIDENCE.prompt,
            line,
            branch=hypothesis.id,
            index=check.get("index", -1),
            parent=check["parent"],
        )
        try:
            output = await check_evidence(
                hypothesis, check["findings"], check["asks"], line, self._plan.strategy.limits
            )
        except EngineFailed as error:
            return {"steps": [leave(move=broken_by(error.failure))], "failure": error.failure}
        move = Move(to=STOPS.after(CHECK_EVIDENCE.name))
        update = update_to(learned(CHECK_EVIDENCE, START, output), START)
        return {**update, "steps": [leave(output=output, move=move)]}

    def _route(self, stop: AnyStop, state: Journey, output: object, then: Standpoint) -> Move:
        """The move from a stop: to the next one, except after the differential and the reflection."""
        if stop is GENERATE_DIFFERENTIAL:
            return _after_differential(state, then)
        if stop is REFLECT and isinstance(output, Reflection):
            return self._after_reflection(state, then, output)
        return Move(to=STOPS.after(stop.name))

    def _after_reflection(self, state: Journey, then: Standpoint, reflection: Reflection) -> Move:
        now = Standing(
            verdict=reflection.verdict,
            targets=reflection.targets,
            ranking=then.ranking,
            margin=margin(then.credence),
            backtracks_left=self._plan.strategy.budget.max_backtracks - backtracks_so_far(state),
            overruled=any(step.move.backtrack and step.move.trigger == "verifier" for step in state["steps"]),
        )
        return after_reflection(now, self._plan.strategy.policy)


def _after_differential(state: Journey, then: Standpoint) -> Move:
    before = last_stop(state["steps"])
    reread = before is not None and before.node == REVIEW_HISTORY.name
    targets = to_check(then.ranking, then.evidence.keys(), reread)
    if not targets:
        return Move(
            to=STOPS.last.name,
            trigger="verifier",
            reason="there is no hypothesis to check",
            rule="nothing_to_check",
        )
    return Move(to=CHECK_EVIDENCE.name, targets=targets)
