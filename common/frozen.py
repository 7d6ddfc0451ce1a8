"""The base of records that files hold.

Apart because every room has such records, and nothing else in `common` is about them.
"""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A record that does not change. An unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
