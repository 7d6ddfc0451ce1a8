"""The report: runs compared, with tables and plots."""
