"""How good it was: cases with gold answers, scores, statistics, reports.

- cases: casefile, casesample, optionorder; benchmark, benchmarkfile, benchmarkcheck, benchmarkstore, jama
- scores: score, scoredrun; looserule, freeform; judge, judgements
- statistics, pure: interval, paired, baseline, vote, calibration, shuffle, scaling, published
- report: evaluation, runresult, comparison, configuration, curves, summarytable, modelaccuracy, promptgain,
  modelsize; plots, accuracyplots, modelplot, gainplot, curveplots, calibrationplots, axes, picture; wording,
  report
- Inspect AI: inspecttasks, inspectbridge, inspectlog
"""
