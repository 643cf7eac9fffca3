"""What every section of a study file shares: frozen, no unknown keys, no booleans, one message for `auto | ...`."""

from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    field_validator,
)

from mapsearch.core.text import shortened


class Section(BaseModel):
    """A frozen section of a study file; keys it does not know are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @field_validator("*", mode="before")
    @classmethod
    def _is_not_boolean(cls, value: Any) -> Any:
        if isinstance(value, bool):  # pydantic takes `true` for 1, and YAML takes `on` for `true`
            raise ValueError(f"a number, string or list must be given, but got the boolean {str(value).lower()}")
        return value


def auto_or(what: str) -> WrapValidator:
    """One message for both branches of `auto | ...`, where pydantic would give one for each."""

    def check(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
        try:
            return handler(value)
        except ValidationError:
            raise ValueError(f"`auto` or {what} must be given, but got {shortened(value)}") from None

    return WrapValidator(check)
