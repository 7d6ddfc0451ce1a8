"""Scoring: which answer a trace states, and whether it is right.

- `rule`: the strict rule, the match of free-form answers, the looser rule for comparison.
- `answerkey`: a run's cases with their gold answers. `run`: a run folder scored.
- `judge`: a model that judges free-form answers. `judgements`: its file beside the traces.
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.eval.scoring.judge import judge_model as judge_model
    from ddxgraph.eval.scoring.judge import judge_run as judge_run
    from ddxgraph.eval.scoring.judge import questions_of as questions_of
    from ddxgraph.eval.scoring.judgements import JudgementLog as JudgementLog
    from ddxgraph.eval.scoring.rule import Score as Score
    from ddxgraph.eval.scoring.rule import Verdict as Verdict
    from ddxgraph.eval.scoring.rule import verdict_of as verdict_of
    from ddxgraph.eval.scoring.run import ScoredRun as ScoredRun
    from ddxgraph.eval.scoring.run import score_run as score_run
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "JudgementLog": "ddxgraph.eval.scoring.judgements",
            "Score": "ddxgraph.eval.scoring.rule",
            "ScoredRun": "ddxgraph.eval.scoring.run",
            "Verdict": "ddxgraph.eval.scoring.rule",
            "judge_model": "ddxgraph.eval.scoring.judge",
            "judge_run": "ddxgraph.eval.scoring.judge",
            "questions_of": "ddxgraph.eval.scoring.judge",
            "score_run": "ddxgraph.eval.scoring.run",
            "verdict_of": "ddxgraph.eval.scoring.rule",
        },
    )
