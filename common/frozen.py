"""The base of records that files hold. It is a module of its own since every room has such records."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A record that does not change; a field that it does not know is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
