"""The benchmarks as tasks of Inspect AI, and its logs as run folders.

- `tasks`: the tasks, the solver and the scorer. `bridge`: Inspect's model as a chat model. `logs`: imports logs.
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.eval.inspect.logs import import_logs as import_logs
    from ddxgraph.eval.inspect.tasks import journey as journey
    from ddxgraph.eval.inspect.tasks import task_of as task_of
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "import_logs": "ddxgraph.eval.inspect.logs",
            "journey": "ddxgraph.eval.inspect.tasks",
            "task_of": "ddxgraph.eval.inspect.tasks",
        },
        extras=dict.fromkeys(("import_logs", "journey", "task_of"), "inspect"),
    )
