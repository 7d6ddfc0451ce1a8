"""The doctor: what an endpoint and this machine offer to the graph.

- doctor: asks the endpoint; machine: looks at this machine; finding: what follows from the answers
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.serving.doctor.doctor import Reached as Reached
    from ddxgraph.serving.doctor.doctor import examine as examine
    from ddxgraph.serving.doctor.doctor import reach as reach
    from ddxgraph.serving.doctor.finding import Finding as Finding
    from ddxgraph.serving.doctor.finding import Status as Status
    from ddxgraph.serving.doctor.finding import cannot_run as cannot_run
    from ddxgraph.serving.doctor.finding import verdict as verdict
    from ddxgraph.serving.doctor.machine import machine_findings as machine_findings
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "Finding": "ddxgraph.serving.doctor.finding",
            "Reached": "ddxgraph.serving.doctor.doctor",
            "Status": "ddxgraph.serving.doctor.finding",
            "cannot_run": "ddxgraph.serving.doctor.finding",
            "examine": "ddxgraph.serving.doctor.doctor",
            "machine_findings": "ddxgraph.serving.doctor.machine",
            "reach": "ddxgraph.serving.doctor.doctor",
            "verdict": "ddxgraph.serving.doctor.finding",
        },
    )
