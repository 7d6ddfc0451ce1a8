"""Plots of the report.

- `plots`: all plots of an evaluation. `accuracy`, `model`, `gain`, `curves`, `calibration`: one kind each.
- `axes`: marks, axes and the ending that plots share. `picture`: a figure as SVG and PNG.
"""
