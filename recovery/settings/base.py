"""What every part of the settings shares: the frozen model, the types of its fields, and the words of its errors."""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

from recovery.errors import SettingError
from recovery.s3 import sealing

T = TypeVar("T")
PROJECT = "requorum"
EXAMPLE = "stacks/Pulumi.production.example.yaml"
EXAMPLES_RECIPIENT = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p"
"""The age recipient in the example. Nobody here has its identity."""
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Recipient = Annotated[str, AfterValidator(sealing.require_recipient)]


class Faulty(ValueError):
    """Faults of settings on their way through pydantic, which collects them with its own."""

    def __init__(self, errors: Sequence[SettingError]) -> None:
        super().__init__("; ".join(map(str, errors)))
        self.errors = tuple(errors)


class Faults:
    """The faults that several checks found, so that all of them are shown at once."""

    def __init__(self) -> None:
        self._found: list[SettingError] = []

    def find(self, check: Callable[..., object], *given: Any, **named: Any) -> None:
        """Run a check, and keep the fault that it raises."""
        try:
            check(*given, **named)
        except SettingError as error:
            self._found.append(error)

    def require_none(self) -> None:
        """Raises: Faulty if a check found a fault."""
        if self._found:
            raise Faulty(self._found)


def collected(check: Callable[[T], T]) -> Callable[[T], T]:
    """The check of a model, whose fault pydantic collects with others."""

    @wraps(check)
    def checked(value: T) -> T:
        try:
            return check(value)
        except SettingError as error:
            raise Faulty([error]) from None

    return checked


class Frozen(BaseModel):
    """Values that stay as they were read; keys are in camel case, and one that is not known is refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, defer_build=True
    )
