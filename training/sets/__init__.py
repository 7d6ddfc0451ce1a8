"""Sets of journeys on disk: data files, card, the gate's report, manifest.

- make: runs through the gate into a set; folder: its folder, which is there whole or not at all
- forms: the forms of training data by name; a form is added here. samples: what a form is, and those that ship
- manifest: `journeys.json`, with what a set holds in figures; card: its dataset card
- inspection: what the files of a set hold, and whether they were changed
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.training.sets.forms import form_names as form_names
    from ddxgraph.training.sets.forms import form_of as form_of
    from ddxgraph.training.sets.inspection import inspect_set as inspect_set
    from ddxgraph.training.sets.make import JourneySet as JourneySet
    from ddxgraph.training.sets.make import make_journeys as make_journeys
    from ddxgraph.training.sets.make import write_journeys as write_journeys
    from ddxgraph.training.sets.manifest import SetManifest as SetManifest
    from ddxgraph.training.sets.manifest import read_set as read_set
    from ddxgraph.training.sets.samples import Form as Form
    from ddxgraph.training.sets.samples import Record as Record
    from ddxgraph.training.sets.samples import read_samples as read_samples
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "Form": "ddxgraph.training.sets.samples",
            "JourneySet": "ddxgraph.training.sets.make",
            "Record": "ddxgraph.training.sets.samples",
            "SetManifest": "ddxgraph.training.sets.manifest",
            "form_names": "ddxgraph.training.sets.forms",
            "form_of": "ddxgraph.training.sets.forms",
            "inspect_set": "ddxgraph.training.sets.inspection",
            "make_journeys": "ddxgraph.training.sets.make",
            "read_samples": "ddxgraph.training.sets.samples",
            "read_set": "ddxgraph.training.sets.manifest",
            "write_journeys": "ddxgraph.training.sets.make",
        },
        extras=dict.fromkeys(("JourneySet", "make_journeys", "write_journeys"), "journeys"),
    )
