"""The base of every section of the configuration."""

from typing import Any

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A frozen mapping that refuses unknown keys and does not convert one type into another."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        strict=True,
        allow_inf_nan=False,
        protected_namespaces=(),
        validate_default=True,
    )


class RegisteredSection(Section):
    """A section for a class of MindFormers: `type` is its registered name, the rest its arguments.

    `mindmlm.config.checks.registered` compares the arguments with those that the class takes.
    """

    model_config = ConfigDict(extra="allow")

    @property
    def arguments(self) -> dict[str, Any]:
        """What is given besides `type`."""
        return dict(self.model_extra or {})
