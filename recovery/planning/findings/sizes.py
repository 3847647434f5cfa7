"""Sizes in words."""

UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB")


def in_words(size: int) -> str:
    """A size with a unit in which it has up to four digits."""
    left, unit = float(size), 0
    while left >= 1024 and unit < len(UNITS) - 1:
        left, unit = left / 1024, unit + 1
    return f"{left:.1f} {UNITS[unit]}" if unit > 1 and left < 10 else f"{left:.0f} {UNITS[unit]}"
