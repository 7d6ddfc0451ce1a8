"""Sets of journeys on disk: samples, manifest, card."""
