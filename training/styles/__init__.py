"""Styles: ways to tell a journey as training data."""
