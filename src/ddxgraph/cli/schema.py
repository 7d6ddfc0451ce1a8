"""`ddxgraph schema`: the JSON schema of a trace."""

import json
from typing import Any

import typer

_CHECKSUM = {
    "description": "First 16 hex digits of the SHA-256 of the line without this field and without the newline; "
    "always the line's last field. Absent in traces printed one by one and in files of earlier versions.",
    "pattern": "^[0-9a-f]{16}$",
    "type": "string",
}


def schema() -> None:
    """Print the JSON schema of a trace: one line of a trace file."""
    typer.echo(json.dumps(trace_schema(), indent=2))


def trace_schema() -> dict[str, Any]:
    """The JSON schema (2020-12) of one line of a trace file."""
    from ddxgraph.graph.trace import Trace

    schema = Trace.model_json_schema(mode="serialization")
    schema["properties"]["checksum"] = _CHECKSUM
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_without_examples(schema)}


def _without_examples(node: Any) -> Any:
    """The schema without the examples that stand in docstrings, which pydantic takes as descriptions."""
    if isinstance(node, dict):
        return {key: _without_examples(value) for key, value in node.items()}
    if isinstance(node, list):
        return [_without_examples(value) for value in node]
    return node.partition("\n\nExample:\n")[0] if isinstance(node, str) else node
