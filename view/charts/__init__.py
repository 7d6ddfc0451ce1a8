"""Journeys as charts, pictures and graphs."""
