"""The base of records that files hold.

Apart because every room has such records, and nothing else in `common` is about them.
"""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Int64 = Annotated[int, Field(ge=-(1 << 63), lt=1 << 63)]
"""A number that tables and floats can hold, whoever wrote the file."""


class Frozen(BaseModel):
    """A record that does not change. An unknown field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
