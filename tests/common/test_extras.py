"""The command that installs an extra fits how ddxgraph was installed."""

import shlex

import pytest

from ddxgraph.common.extras import command


@pytest.mark.parametrize(
    ("origin", "said"),
    [
        (None, "ddxgraph[eval,view]"),
        (
            {"url": "file:///home/me/my%20ddxgraph", "dir_info": {"editable": True}},
            "/home/me/my ddxgraph[eval,view]",
        ),
        ({"url": "file:///home/me/ddxgraph", "dir_info": {}}, "/home/me/ddxgraph[eval,view]"),
        (
            {"url": "file:///tmp/ddxgraph-0.1.0-py3-none-any.whl", "archive_info": {"hash": "sha256=0"}},
            "ddxgraph[eval,view] @ file:///tmp/ddxgraph-0.1.0-py3-none-any.whl",
        ),
        (
            {"url": "https://example.org/ddxgraph.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}},
            "ddxgraph[eval,view] @ git+https://example.org/ddxgraph.git@abc",
        ),
    ],
    ids=["index", "checkout", "folder", "wheel", "repository"],
)
def test_the_command_names_where_the_package_came_from(origin, said):
    pip, verb, *flags, requirement = shlex.split(command(origin, ("eval", "view")))
    assert (pip, verb, requirement) == ("pip", "install", said)
    assert flags == (["-e"] if origin and origin.get("dir_info", {}).get("editable") else [])
