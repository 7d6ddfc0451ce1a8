"""Review of journeys by experts."""
