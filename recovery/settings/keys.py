"""The keys of the settings at each place, and the known key that is nearest to an unknown one."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from recovery.settings.base import Frozen
from recovery.settings.cluster import Settings
from recovery.settings.machines import CheckedBy

Location = Sequence[int | str]
LIKE = 0.7
"""How like a known key an unknown one must be, by difflib's ratio, so that it may be meant: `mangers` is, `colour` is not."""


def known_keys(above: Location) -> tuple[str, ...]:
    """The keys that the settings have at a place. ``above`` are the keys that lead there, with the indices of lists."""
    model: type[Frozen] | None = Settings
    for part in above:
        fields = model.model_fields.values() if model else ()
        field = next((field for field in fields if field.alias == part), None)
        if field:  # else an index, or the key of a map
            model = _model((field.annotation, *field.metadata))
    return tuple(str(field.alias) for field in model.model_fields.values()) if model else ()


def nearest(key: str, known: Iterable[str]) -> str:
    """The known key that an unknown one may be meant for; empty if none is near."""
    folded = {one.lower(): one for one in known}
    found = get_close_matches(key.lower(), folded, n=1, cutoff=LIKE)
    return folded[found[0]] if found else ""


def corrected(values: Mapping[str, Any], unknown: Iterable[Location]) -> dict[str, Any]:
    """The values without the unknown keys at these places. The nearest known key has the value, if it has none."""
    copy: dict[str, Any] = {key: _copied(value) for key, value in values.items()}
    for *above, last in unknown:
        found: Any = copy
        for part in above:
            found = found[part]
        value = found.pop(last)
        if near := nearest(str(last), known_keys(above)):
            found.setdefault(near, value)
    return copy


def _copied(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _copied(one) for key, one in value.items()}
    return [_copied(one) for one in value] if isinstance(value, list | tuple) else value


def _model(of: Any) -> type[Frozen] | None:
    """The first model of settings in a type or in what is said of it."""
    if isinstance(of, type) and issubclass(of, Frozen):
        return of
    if isinstance(of, CheckedBy):
        return of.model
    inner = of if isinstance(of, tuple) else (*get_args(of), *getattr(of, "__metadata__", ()))
    return next((model for one in inner if (model := _model(one))), None)
