"""What node tests share: a line to a scripted model, outside any graph."""

from collections.abc import Callable
from typing import Any

import pytest
from journeys import AT_ONCE
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage, SystemMessage

from ddxgraph.nodes.call.consultation import Allowance, Consultation, Wording
from ddxgraph.nodes.settings import Sampling
from ddxgraph.prompts.library import shipped_prompts

LineTo = Callable[..., Consultation]


@pytest.fixture
def line_to() -> LineTo:
    """Opens a line to a chat model; keywords are the consultation's."""

    def open_line(
        model: BaseChatModel,
        *,
        sampling: Sampling | None = None,
        allowance: Allowance | None = None,
        **settings: Any,
    ) -> Consultation:
        return Consultation(
            wording=Wording(model, shipped_prompts(), sampling or Sampling(), AT_ONCE),
            messages=lambda asking: [SystemMessage("You think in JSON."), HumanMessage(asking)],
            allowance=allowance or Allowance(calls=10, tokens=100_000),
            config=settings.pop("config", {}),
            conversation="a-conversation",
            **settings,
        )

    return open_line
