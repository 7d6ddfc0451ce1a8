"""Visits to the stops of the graph: what each is given, the step that it writes, and the way on."""
