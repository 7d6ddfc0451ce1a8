"""Ways to look at a journey: a terminal view."""
