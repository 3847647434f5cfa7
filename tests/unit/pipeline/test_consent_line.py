"""The one line of a stack file that a consent is."""

import pytest
import yaml

from recovery.pipeline.consent_line import KEY, consented, with_consent, without_consent

ID, OTHER = "r0123456789abcdef", "rfedcba9876543210"
FILES = {
    "plain": "config:\n  requorum:cluster: lab\n  requorum:zones: [a, b]\n",
    "with a salt and comments": "# ours\nencryptionsalt: v1:x\nconfig: # all of it\n\n    # the name\n    requorum:cluster: lab\n",
    "consents to nothing": "config:\n  requorum:cluster: lab\n  requorum:recover: false\n",
    "consents to another": f"config:\n  'requorum:recover': {OTHER} # old\n  requorum:cluster: lab\n",
    "many comments": "config:\n" + "  # one\n" * 40 + "  requorum:cluster: lab\n",
    "of a person": "config:\n  requorum:recover: true\n  requorum:cluster: lab",
}
FILES |= {f"{name}, of Windows": text.replace("\n", "\r\n") for name, text in FILES.items()}


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_only_the_line_changes(text: str) -> None:
    made = with_consent(text, ID)
    assert consented(made) == ID
    before, after = yaml.safe_load(text), yaml.safe_load(made)
    assert after.pop("config") == before.pop("config") | {KEY: ID}
    assert after == before
    assert [line for line in text.splitlines(keepends=True) if "recover" not in line] == [
        line for line in made.splitlines(keepends=True) if "recover" not in line
    ]
    assert ("\r" in made) is ("\r" in text)
    assert made.count("\n") == made.count("\r\n" if "\r" in text else "\n")
    assert with_consent(made, ID) == made


@pytest.mark.parametrize("text", FILES.values(), ids=FILES)
def test_the_line_goes_again(text: str) -> None:
    made = without_consent(with_consent(text, ID))
    assert KEY not in made
    assert yaml.safe_load(made)["config"] == {key: v for key, v in yaml.safe_load(text)["config"].items() if key != KEY}
    assert without_consent(made) == made
    assert made in (text, without_consent(text)), "also its line ends"


def test_true_is_no_plan_id() -> None:
    assert consented(FILES["of a person"]) == ""


BAD = [
    "config: {requorum:cluster: lab}",
    "config:\n- a\n",
    "x: 1\n",
    "config: [",
    "",
    "config: {'requorum:recover': true}",
]


@pytest.mark.parametrize("text", BAD)
def test_a_file_of_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"^it |cannot"):
        with_consent(text, ID)
