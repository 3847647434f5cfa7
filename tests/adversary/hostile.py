"""What somebody may write or answer: any JSON, any bytes, and what looks nearly right."""

from hypothesis import strategies as st

WORDS = st.one_of(
    st.text(max_size=12),
    st.sampled_from(
        (
            "[/x]",
            "[conceal]",
            "\x1b[2J\x1b]0;owned\x07",
            "\u202egnp.exe",
            "a\nSTOPPED: no\n  next: rm -rf /",
            "10.77.1.11:2377",
            "$(reboot)",
            "9" * 400,
            "999.1.1.1",
            "::1",
            "active",
            "ready",
        )
    ),
)
SCALARS = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.sampled_from((-1, 1 << 64, 10**400, 0.5)), WORDS
)
JSON = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=8
)
DEEP = b"[" * 100_000
LONG = b" " * (5 << 20)
BYTES = st.one_of(st.binary(max_size=40), st.sampled_from((DEEP, b"null", b"{}", b"[]", b'"x"', b"NaN", b"\xff\xfe")))
CODES = {0, 1, 2, 3, 4, 5}
"""The exit codes of commands (recovery.cli.show.contract)."""
