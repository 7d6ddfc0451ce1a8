"""Journeys and runs as HTML pages, saved or served."""
