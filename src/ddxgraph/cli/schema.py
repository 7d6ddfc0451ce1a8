"""`ddxgraph schema`: the JSON schema of a trace."""

import json
from typing import Any

import typer


def schema() -> None:
    """Print the JSON schema of a trace: one line of a trace file."""
    typer.echo(json.dumps(trace_schema(), indent=2))


def trace_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of one line of a trace file."""
    from ddxgraph.graph.trace import Trace

    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **Trace.model_json_schema(mode="serialization"),
    }
