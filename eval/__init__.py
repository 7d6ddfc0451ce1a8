"""Evaluation: cases with gold answers, scores, statistics, reports.

- `cases`: case files, samples, the order of options.
- `benchmarks`: the registry of benchmarks, their files and their cases.
- `scoring`: what a trace's answer is worth; judges of free-form answers.
- `statistics`: intervals, paired tests, votes, calibration, scaling; pure functions of plain numbers.
- `report`: runs compared, as data, pages and plots.
- `inspect`: the benchmarks as tasks of Inspect AI, and its logs as runs.
"""
