"""What all parts of a scenario have in common: frozen, no unknown keys, no guessed types, no infinities."""

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """The base of every table of a scenario file.

    The description of a field starts with a noun phrase up to the first `;`: errors quote it as the remedy
    ("give the number of workers in the pool"), and the published schema shows the whole.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        populate_by_name=False,
        validate_default=True,
        use_attribute_docstrings=False,
    )
