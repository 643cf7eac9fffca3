"""What all sections of a study file share: frozen, no unknown keys, no booleans, one message for `auto | ...`."""

from typing import Annotated, Any

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from mapsearch.core.text import shortened

Share = Annotated[float, Field(gt=0, le=1)]


class Section(BaseModel):
    """A frozen section of a study file; keys it does not know are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_not_boolean(cls, value: Any) -> Any:
        if isinstance(value, bool):  # pydantic takes `true` for 1, and YAML takes `on` for `true`
            raise ValueError(f"must be a number, a string or a list, but got the boolean {str(value).lower()}")
        return value


def auto_or(what: str) -> WrapValidator:
    """One message for both branches of `auto | ...`, where pydantic would give one for each."""
    return one_of(f"`auto` or {what}")


def one_of(what: str) -> WrapValidator:
    """One message for all branches of a union."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"must be {what}, but got {shortened(value)}") from None

    return WrapValidator(check)
