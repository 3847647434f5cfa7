"""The edge of a look: whatever a node tells, the value is bounded and its texts are lines, or it is Unfit."""

from dataclasses import fields, is_dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recovery.node.looked import LONGEST, MOST, WHOLE, bounded
from recovery.swarm import records
from recovery.swarm.evidence import Looked
from tests.unit.test_plain import FORBIDDEN


def texts(value: Any, name: str = "") -> Any:
    """Every text of a value."""
    if isinstance(value, str):
        yield from [] if name in WHOLE else [value]
    elif isinstance(value, tuple):
        assert len(value) <= MOST
        for one in value:
            yield from texts(one)
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from (*texts(key), *texts(one))
    elif is_dataclass(value):
        for one in fields(value):
            yield from texts(getattr(value, one.name), one.name)


text = st.one_of(st.text(max_size=30), st.just("\x1b[2J\n" * 3000))
units = st.lists(st.fixed_dictionaries({"name": text, "why": text, "lines": st.lists(text, max_size=3)}), max_size=3)
nodes = st.fixed_dictionaries({"node": text, "hostname": text, "attributes": st.dictionaries(text, text, max_size=3)})
looks = st.fixed_dictionaries(
    {"began": st.just(0.0), "ended": st.just(1.0), "unseen": st.lists(text, max_size=3), "units": units},
    optional={"swarm": st.fixed_dictionaries({"nodes": st.lists(nodes, max_size=3)})},
)


@given(looks)
def test_every_text_is_a_line_of_limited_length(document: Any) -> None:
    for found in texts(bounded(records.typed(Looked, document))):
        assert len(found) <= LONGEST
        assert "\n" not in found
        assert not FORBIDDEN & {*found}


def test_lists_have_an_end() -> None:
    unit = {"name": "a.service", "why": "", "lines": []}
    document = {"began": 0.0, "ended": 0.0, "units": [unit] * (MOST + 1)}
    assert len(bounded(records.typed(Looked, document)).units) == MOST


@pytest.mark.parametrize(
    "document", [{}, {"began": 0.0, "ended": 0.0, "units": [1]}, {"began": 0.0, "ended": 0.0, "x": 1}, []]
)
def test_what_is_no_look_is_unfit(document: Any) -> None:
    with pytest.raises(records.Unfit):
        records.typed(Looked, document)
