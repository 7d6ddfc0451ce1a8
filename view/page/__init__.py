"""Self-contained HTML pages.

- journey: a trace; pair: two traces or runs side by side; run: a run, as a table; table: the page of any table
- server: the page of a growing run over HTTP
- document: a page as one file with its policy; blocks: compressed journeys; highlight: findings in the case
- assets: templates, styles and scripts, which lie here too
"""

from typing import TYPE_CHECKING

from ddxgraph.common import lazy

if TYPE_CHECKING:
    from ddxgraph.view.page.journey import journey_page as journey_page
    from ddxgraph.view.page.journey import notebook_html as notebook_html
    from ddxgraph.view.page.pair import pair_page as pair_page
    from ddxgraph.view.page.pair import write_pair_page as write_pair_page
    from ddxgraph.view.page.run import write_run_page as write_run_page
else:
    __getattr__, __dir__, __all__ = lazy.face(
        __name__,
        {
            "journey_page": "ddxgraph.view.page.journey",
            "notebook_html": "ddxgraph.view.page.journey",
            "pair_page": "ddxgraph.view.page.pair",
            "write_pair_page": "ddxgraph.view.page.pair",
            "write_run_page": "ddxgraph.view.page.run",
        },
    )
