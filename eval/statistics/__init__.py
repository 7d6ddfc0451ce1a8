"""Statistics: intervals, paired tests, votes, calibration, scaling."""
