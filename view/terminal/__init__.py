"""Journeys and runs on the terminal."""
