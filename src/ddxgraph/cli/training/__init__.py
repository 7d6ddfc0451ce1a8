"""Commands that train: `train`, `improve`, `experiment`."""
