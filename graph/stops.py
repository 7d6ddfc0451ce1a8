"""The five stops of the graph: each consults its node and moves on as the routing says."""

from collections.abc import Callable, Coroutine, Mapping
from functools import partial
from typing import Any, cast

from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.graph import END
from langgraph.types import Command

from ddxgraph.graph.conversation import Exchange
from ddxgraph.graph.credence import margin, standing
from ddxgraph.graph.plan import Plan
from ddxgraph.graph.routing import Move, Standing, after_reflection, over_budget, to_check
from ddxgraph.graph.state import (
    Journey,
    backtracks_so_far,
    credence_of,
    goes_back,
    last_on_trunk,
    refuted_ids,
    restarting,
    standing_ids,
)
from ddxgraph.graph.visit import Check, Entry, Told, Visit, broken_by, open_line, step_of
from ddxgraph.nodes import check_evidence, conclude, generate_differential, reflect, review_history
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.consultation import Allowance, run_blocking
from ddxgraph.nodes.failure import EngineFailed
from ddxgraph.nodes.reflect import Reflection
from ddxgraph.nodes.review_history import History


class Stop(Runnable[Any, Any]):
    """A stop as LangGraph runs it: one coroutine function behind both `invoke` and `ainvoke`."""

    def __init__(self, name: str, visit: Callable[[Any, Entry], Coroutine[Any, Any, Any]]) -> None:
        self.name = name
        self._visit = visit

    def invoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Any:  # noqa: A002
        """Visit on the calling thread, without an event loop."""
        return run_blocking(self._visit(input, Entry(config or {}, blocking=True)))

    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> Any:  # noqa: A002
        """Visit on the running event loop."""
        return await self._visit(input, Entry(config or {}, blocking=False))


class Stops:
    """The stops over one plan."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._limits = plan.strategy.limits

    async def review_history(self, state: Journey, entry: Entry) -> Command[Any]:
        """Open the journey, or read the case again."""
        if not goes_back(state):
            return await self._open(state, entry)
        return await self._read(state, {}, entry)

    async def _open(self, state: Journey, entry: Entry) -> Command[Any]:
        case = Case.model_validate(state.get("case"))
        sample = state.get("sample", 0)
        opening: Journey = {"case": case, "sample": sample, "setting": self._plan.setting(case, sample)}
        command = await self._read(opening, opening, entry)
        if "setting" in state and isinstance(command.update, dict):
            return Command(update=restarting(state, cast(Journey, command.update)), goto=command.goto)
        return command

    async def _read(self, state: Journey, opening: Journey, entry: Entry) -> Command[Any]:
        known = state.get("findings", [])
        critique = state.get("critique", "")
        visit = Visit(self._plan, state, "review_history", entry)
        if visit.spent:
            return visit.skip(None, over_budget(visit.spent, "no room left to read the case"), opening)
        try:
            history = await review_history.review_history(
                state["case"], known, critique, visit.line, self._limits
            )
        except EngineFailed as error:
            return visit.broken(error.failure, opening)
        update: Journey = {**opening, "findings": [*known, *history.findings]}
        if "asks" not in state:
            update["asks"] = history.asks
        return visit.leave(update, history, lambda *_: Move(to="generate_differential"))

    async def generate_differential(self, state: Journey, entry: Entry) -> Command[Any]:
        """Name the hypotheses, and send them to be checked."""
        visit = Visit(self._plan, state, "generate_differential", entry)
        before = last_on_trunk(state["steps"])
        reading = before.output if before and isinstance(before.output, History) else None
        try:
            differential = await generate_differential.generate_differential(
                state["case"],
                reading.findings if reading else (),
                state.get("hypotheses", []),
                state.get("refuted", []),
                state.get("critique", ""),
                visit.line,
                self._limits,
            )
        except EngineFailed as error:
            return visit.broken(error.failure)
        update: Journey = {"hypotheses": list(differential.hypotheses)}
        if differential.revived:
            update["refuted"] = []
        reread = before is not None and before.node == "review_history"
        return visit.leave(update, differential, partial(_after_differential, reread=reread))

    async def check_evidence(self, check: Check, entry: Entry) -> Journey:
        """Weigh the findings against one hypothesis, beside the other checks of its round."""
        hypothesis = check["hypothesis"]
        told = Told([Exchange(*exchange) for exchange in check["told"]], check["summary"])
        purse = Allowance(check["calls"], check["tokens"])
        line = open_line(self._plan, check["setting"], check["sample"], told, purse, entry)
        leave = partial(
            step_of, self._plan, "check_evidence", line, branch=hypothesis.id, parent=check["parent"]
        )
        try:
            found = await check_evidence.check_evidence(
                hypothesis, check["findings"], check["asks"], line, self._limits
            )
        except EngineFailed as error:
            return {"steps": [leave(move=broken_by(error.failure))], "failure": error.failure}
        weights = {weight.finding: weight for weight in found.weights}
        return {
            "evidence": {hypothesis.id: weights},
            "steps": [leave(output=found, move=Move(to="reflect"))],
        }

    async def reflect(self, state: Journey, entry: Entry) -> Command[Any]:
        """Join the evidence, look back, and conclude or go back."""
        if state.get("failure"):
            return Command(goto=END)
        visit = Visit(self._plan, state, "reflect", entry)
        if visit.spent:
            return visit.skip(None, over_budget(visit.spent, "no room left to reflect"))
        shares = credence_of(state)
        # In a fixed order: the form of the reply depends on it, and forms are kept.
        active = tuple(sorted(standing_ids(state, shares)))
        try:
            reflection = await reflect.reflect(
                _standing_lines(state, shares), active, visit.line, self._limits
            )
        except EngineFailed as error:
            return visit.broken(error.failure)
        update: Journey = {
            "refuted": [*state.get("refuted", []), *reflection.refuted],
            "critique": reflection.critique,
        }
        return visit.leave(update, reflection, partial(self._after_reflection, reflection=reflection))

    async def conclude(self, state: Journey, entry: Entry) -> Command[Any]:
        """Answer; where no call can be paid for any more, the best hypothesis so far stands."""
        visit = Visit(self._plan, state, "conclude", entry)
        shares = credence_of(state)
        if visit.spent:
            labels = {h.id: h.label for h in state.get("hypotheses", [])}
            conclusion = conclude.from_credence(state["case"], labels, shares)
            move = over_budget(visit.spent, "no room left for the last call").model_copy(update={"to": "end"})
            return visit.skip(conclusion, move, {"conclusion": conclusion})
        before = last_on_trunk(state["steps"])
        out_of_budget = before is not None and before.move.trigger == "budget"
        try:
            conclusion = await conclude.conclude(
                state["case"],
                _standing_lines(state, shares),
                shares,
                out_of_budget,
                visit.line,
                self._limits,
            )
        except EngineFailed as error:
            return visit.broken(error.failure)
        return visit.leave({"conclusion": conclusion}, conclusion, lambda *_: Move(to="end"))

    def _after_reflection(self, state: Journey, shares: Mapping[str, float], reflection: Reflection) -> Move:
        now = Standing(
            verdict=reflection.verdict,
            targets=reflection.targets,
            ranking=standing_ids(state, shares),
            margin=margin(shares),
            backtracks_left=self._plan.strategy.budget.max_backtracks - backtracks_so_far(state),
            overruled=any(step.move.backtrack and step.move.trigger == "verifier" for step in state["steps"]),
        )
        return after_reflection(now, self._plan.strategy.policy)


def _standing_lines(state: Journey, shares: Mapping[str, float]) -> list[str]:
    return standing(state.get("hypotheses", []), shares, refuted_ids(state))


def _after_differential(state: Journey, shares: Mapping[str, float], reread: bool) -> Move:
    targets = to_check(standing_ids(state, shares), state.get("evidence", {}).keys(), reread)
    if not targets:
        return Move(
            to="conclude",
            trigger="verifier",
            reason="there is no hypothesis to check",
            rule="nothing_to_check",
        )
    return Move(to="check_evidence", targets=targets)
