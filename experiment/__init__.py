"""The laboratory experiment: does training on journeys beat training on shortcuts, on cases that nobody has seen?

- what is asked: experimentconfig, arm, levelcases
- how it is done: experimentfolder, experiment
- what came of it: armresult, contrast, spending, target, experimentsummary, experimentplot
"""
