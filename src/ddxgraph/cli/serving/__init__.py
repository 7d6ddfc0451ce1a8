"""Commands about engines and models: `serve`, `adapters`, `doctor`, `models`."""
