"""What every part of the settings shares: the frozen model, the types of its fields, and the words of its errors."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from pydantic.alias_generators import to_camel

from recovery.s3 import sealing

PROJECT = "requorum"
EXAMPLE = "stacks/Pulumi.production.example.yaml"
Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$")]
Recipient = Annotated[str, AfterValidator(sealing.require_recipient)]


class Frozen(BaseModel):
    """Values that stay as they were read; keys are in camel case, and one that is not known is refused."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, validate_by_name=True, defer_build=True
    )
