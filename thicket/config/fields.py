"""Building blocks of the schema: the strict model, and the names and numbers that many fields share."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from thicket.config.described import add_descriptions


class Strict(BaseModel):
    """A frozen model that refuses unknown keys and converts no types; a docstring under a field describes it."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, json_schema_extra=add_descriptions)


FORMS: dict[str, str] = {}
"""Patterns of fields → what they ask for, in words for people; a plug-in's may have none."""


def form(pattern: str, words: str) -> Any:
    """A field whose text matches a pattern, which messages tell in these words."""
    FORMS[pattern] = words
    return Field(pattern=pattern)


NAME_PATTERN = r"^[a-z0-9]+(-[a-z0-9]+)*$"

Name = Annotated[str, form(NAME_PATTERN, "lower-case letters and digits, with single hyphens between them")]
"""Lower-case letters, digits and single hyphens: what DVC accepts in names both of stages and of artifacts."""

Positive = Annotated[int, Field(ge=1)]
Count = Annotated[int, Field(ge=0)]
Commit = Annotated[str, form(r"^[0-9a-f]{40}$", "a commit's 40 hexadecimal digits, in lower case")]
"""A revision that can't move, as a branch does."""
SEEDS = 2**63
Seed = Annotated[int, Field(ge=0, lt=SEEDS)]
"""What torch's generators take."""
Share = Annotated[float, Field(ge=0.0, le=1.0)]
NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
PositiveFloat = Annotated[float, Field(gt=0.0, allow_inf_nan=False)]
