"""The plan of a traversal: model, prompts, limits, and the trace id that follows from them."""

from datetime import UTC, datetime
from typing import NamedTuple

from langchain_core.language_models import BaseChatModel

from ddxgraph.common.errors import CaseTooLong
from ddxgraph.graph.budget import Budget
from ddxgraph.graph.conversation import REPLY_ROOM
from ddxgraph.graph.routing import Policy
from ddxgraph.graph.state import Setting
from ddxgraph.graph.trace import Provenance, StrategySettings, plan_digest, provenance_of, trace_id
from ddxgraph.nodes.call.consultation import BRIEF_KEY, SERIAL_KEY, Wording, as_chat_model
from ddxgraph.nodes.call.patience import Patience
from ddxgraph.nodes.call.usage import estimate_tokens
from ddxgraph.nodes.case import Case
from ddxgraph.nodes.settings import Limits, Sampling
from ddxgraph.prompts.library import PromptSet, shipped_prompts


class Plan(NamedTuple):
    """All settings of a traversal except its case."""

    wording: Wording
    strategy: StrategySettings
    provenance: Provenance
    system: str
    """The system message."""
    digest: str
    """SHA-256 (hex) over all settings that decide a traversal, without its case."""

    @property
    def serial(self) -> bool:
        """Whether the engine runs the calls of one conversation one after another (`SERIAL_KEY`)."""
        return bool((self.wording.model.metadata or {}).get(SERIAL_KEY))

    def trace_id(self, case: Case, sample: int = 0) -> str:
        """The id that the trace of a case will have."""
        return trace_id(self.digest, case, sample)

    def setting(self, case: Case, sample: int = 0) -> Setting:
        """The fixed part of one traversal's state.

        Raises:
            CaseTooLong: instructions, case and a reply do not fit the context window.
        """
        setting = Setting(
            trace_id=self.trace_id(case, sample),
            system=self.system,
            opening=self.wording.prompts.render("case", case=case),
            strategy=self.strategy,
            provenance=self.provenance.model_copy(
                update={"started_at": datetime.now(UTC).isoformat(timespec="milliseconds")}
            ),
        )
        self._check_fits(setting)
        return setting

    def _check_fits(self, setting: Setting) -> None:
        window = self.strategy.context_window
        if window is None:
            return
        room = min(self.strategy.reply_tokens or REPLY_ROOM, REPLY_ROOM)
        needed = estimate_tokens((setting.system, setting.opening)) + room
        if needed > window:
            raise CaseTooLong(
                f"the case is too long for this model: it needs about {needed} tokens with the instructions, "
                f"and the context window holds {window}; shorten the vignette or use a model with a longer "
                "context"
            )


def plan(
    model: BaseChatModel,
    *,
    budget: Budget | None = None,
    limits: Limits | None = None,
    policy: Policy | None = None,
    sampling: Sampling | None = None,
    prompts: PromptSet | None = None,
    context_window: int | None = None,
    patience: Patience | None = None,
) -> Plan:
    """Make the plan of a graph on a model.

    Args:
        model: see `build_graph`, as for the others.
        budget: limits on tokens, calls and backtracks.
        limits: maximum sizes in each node's reply.
        policy: rules that may overrule the model's verdict.
        sampling: settings of every call.
        prompts: the prompt set.
        context_window: size of the model's context in tokens.
        patience: retry policy for a failing engine.

    Returns:
        The plan, with defaults for all that was not given.
    """
    model = as_chat_model(model)
    brief = bool((model.metadata or {}).get(BRIEF_KEY))
    window = context_window or (model.profile or {}).get("max_input_tokens")
    sampling = sampling or Sampling()
    prompts = prompts or shipped_prompts()
    strategy = StrategySettings(
        budget=budget or Budget(),
        limits=limits or (Limits.brief() if brief else Limits()),
        policy=policy or Policy(),
        context_window=window,
    )
    provenance = provenance_of(model, sampling, prompts.hash)
    return Plan(
        wording=Wording(model, prompts, sampling, patience or Patience()),
        strategy=strategy,
        provenance=provenance,
        system=prompts.render("system"),
        digest=plan_digest(strategy, provenance),
    )
