"""The report: runs compared, with tables and plots.

- `figures`: the records of one run. `runresult`: computes them.
- `comparison`: paired comparisons, and runs grouped into configurations. `curves`: tokens, length, difficulty.
- `table`: the summary table. `published`: Table 1 of the paper. `models`: models and strategies side by side.
- `evaluation`: all of it as data. `plots`: its pictures. `write`: Markdown, HTML, plots and JSON in a folder.
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.eval.report.evaluation import Evaluation as Evaluation
    from ddxgraph.eval.report.evaluation import evaluate as evaluate
    from ddxgraph.eval.report.write import write_report as write_report
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "Evaluation": "ddxgraph.eval.report.evaluation",
            "evaluate": "ddxgraph.eval.report.evaluation",
            "write_report": "ddxgraph.eval.report.write",
        },
        extras=dict.fromkeys(("Evaluation", "evaluate", "write_report"), "eval"),
    )
