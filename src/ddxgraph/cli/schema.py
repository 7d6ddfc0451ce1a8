"""`ddxgraph schema`: what a line of a trace file holds."""

import json
from typing import Any

import typer

from ddxgraph.graph.trace import Trace


def schema() -> None:
    """Print the JSON schema of a trace."""
    typer.echo(json.dumps(trace_schema(), indent=2))


def trace_schema() -> dict[str, Any]:
    """JSON schema (2020-12) of one line of a trace file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Trace.model_json_schema(mode="serialization"),
    }
