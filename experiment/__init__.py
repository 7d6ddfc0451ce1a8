"""The laboratory experiment: does training on journeys beat training on shortcuts, on unseen cases?

- settings: config, `full.toml`, `quick.toml`; arms: what is compared, on which cases
- work: run (the entry point), experiment (the stages), folder (its products)
- results, weighing, spending, contrast, share: figures; target: what they should show; summary and plots: the
report
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.experiment.config import ExperimentConfig as ExperimentConfig
    from ddxgraph.experiment.config import read_experiment as read_experiment
    from ddxgraph.experiment.experiment import Experiment as Experiment
    from ddxgraph.experiment.summary import ExperimentSummary as ExperimentSummary
    from ddxgraph.experiment.summary import summarise as summarise
    from ddxgraph.experiment.summary import write_summary as write_summary
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "Experiment": "ddxgraph.experiment.experiment",
            "ExperimentConfig": "ddxgraph.experiment.config",
            "ExperimentSummary": "ddxgraph.experiment.summary",
            "read_experiment": "ddxgraph.experiment.config",
            "summarise": "ddxgraph.experiment.summary",
            "write_summary": "ddxgraph.experiment.summary",
        },
    )
