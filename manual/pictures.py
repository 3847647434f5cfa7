"""The pictures of the concepts: boxes and arrows as SVG, readable in light and dark. They load nothing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from textwrap import wrap

from recovery.operations.page.theme import DARK, LIGHT

WIDTH, HIGH, WIDE, GAP = 760, 66, 196, 44
LETTERS = 25
"""The most letters in a line of a box."""


@dataclass(frozen=True)
class Box:
    """One thing: its name, and what it is or does in a few words."""

    column: float
    row: float
    name: str
    about: str
    mark: str = "ink"
    """The colour of its frame, by its name in the theme."""


@dataclass(frozen=True)
class Arrow:
    """From one box to another, by their names, with a word beside it."""

    begin: str
    end: str
    word: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture, and what it shows in a sentence."""

    title: str
    boxes: Sequence[Box]
    arrows: Sequence[Arrow]


PICTURES: Mapping[str, Picture] = {
    "copies-and-proof": Picture(
        "A manager makes a copy, a sandbox on it proves the copy, S3 keeps it, and a recovery restores and proves it again",
        (
            Box(0, 0, "manager", "has the swarm directory"),
            Box(1, 0, "copy", "sealed, signed by the node"),
            Box(2, 0, "S3", "main site, second site"),
            Box(0, 1, "restore test", "starts it in a sandbox", "fine"),
            Box(1, 1, "drill", "the same later, from S3", "fine"),
            Box(2, 1, "recovery", "restores the newest proven one", "back"),
            Box(2, 2, "proof", "same ID, same inventory", "fine"),
        ),
        (
            Arrow("manager", "copy"),
            Arrow("copy", "S3"),
            Arrow("manager", "restore test", "proves"),
            Arrow("copy", "drill", "proves"),
            Arrow("S3", "recovery"),
            Arrow("recovery", "proof"),
        ),
    ),
    "plans-and-consent": Picture(
        "The survey asks, the diagnosis names what is wrong, the plan has an ID, an operator consents to this ID, then steps change the swarm",
        (
            Box(0, 0, "survey", "asks every node, changes nothing"),
            Box(1, 0, "diagnosis", "names what is wrong"),
            Box(2, 0, "plan", "steps, losses, an ID"),
            Box(2, 1, "consent", "an operator gives this ID", "other"),
            Box(1, 1, "steps", "one after the other, in a journal", "back"),
            Box(0, 1, "proof", "or the update fails", "fine"),
            Box(0, 2, "report", "in S3, signed"),
        ),
        (
            Arrow("survey", "diagnosis"),
            Arrow("diagnosis", "plan"),
            Arrow("plan", "consent", "shown"),
            Arrow("consent", "steps"),
            Arrow("steps", "proof"),
            Arrow("proof", "report"),
        ),
    ),
    "identity": Picture(
        "The swarm keeps its ID and CA, each node its node ID, and only the operator's age identity opens the copies",
        (
            Box(0, 0, "swarm", "cluster ID and CA: never new", "fine"),
            Box(1, 0, "node", "node ID and certificate", "fine"),
            Box(2, 0, "machine", "its address; it may be new", "other"),
            Box(0, 1, "recipients", "public keys: seal copies"),
            Box(1, 1, "copy in S3", "holds the key of the CA"),
            Box(2, 1, "age identity", "opens it; never on a node", "lost"),
            Box(0, 2, "node key", "signs copies"),
            Box(1, 2, "operator's SSH key", "signs decisions"),
        ),
        (
            Arrow("swarm", "node", "signs"),
            Arrow("node", "machine", "runs on"),
            Arrow("recipients", "copy in S3"),
            Arrow("age identity", "copy in S3"),
        ),
    ),
    "fencing": Picture(
        "A silent manager may be alive; fencing switches it off, checks that it is silent, and declares it lost for one hour",
        (
            Box(0, 0, "silent", "may be alive, behind a cut", "silent"),
            Box(1, 0, "it answers", "no loss: nothing to recover", "fine"),
            Box(0, 1, "switched off", "by its driver or your command", "other"),
            Box(1, 1, "still silent", "to SSH and to the leader", "silent"),
            Box(2, 1, "declared lost", "signed, for one hour", "lost"),
            Box(2, 2, "plan", "may go on without it", "back"),
        ),
        (
            Arrow("silent", "it answers"),
            Arrow("silent", "switched off", "requorum fence"),
            Arrow("switched off", "still silent"),
            Arrow("still silent", "declared lost"),
            Arrow("declared lost", "plan"),
        ),
    ),
}


def svg(picture: Picture) -> str:
    """The picture as a file."""
    rows = max(box.row for box in picture.boxes)
    high = round((rows + 1) * (HIGH + GAP) - GAP + 8)
    at = {box.name: box for box in picture.boxes}
    body = [*(_arrow(at[one.begin], at[one.end], one.word) for one in picture.arrows), *map(_box, picture.boxes)]
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {high}" role="img" aria-label="{escape(picture.title)}">\n'
        f"<title>{escape(picture.title)}</title>\n<style>{_style()}</style>\n"
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="tip" d="M0 0L8 4L0 8z"/></marker></defs>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _style() -> str:
    def colours(of: Mapping[str, str]) -> str:
        return "".join(f"--{name}:{colour};" for name, colour in of.items())

    marks = "".join(f".{name}{{stroke:var(--{name})}}" for name in ("ink", "fine", "other", "silent", "lost", "back"))
    font = 'system-ui,"Segoe UI",Roboto,"DejaVu Sans",sans-serif'
    return (
        f"svg{{{colours(LIGHT)}}}@media(prefers-color-scheme:dark){{svg{{{colours(DARK)}}}}}"
        f"rect{{fill:var(--card);stroke-width:2}}{marks}path.line{{fill:none;stroke:var(--soft);stroke-width:2}}"
        f".tip{{fill:var(--soft)}}text{{font:13px {font};fill:var(--soft)}}text.name{{font:600 15px {font};fill:var(--ink)}}"
    )


def _left(box: Box) -> float:
    return box.column * (WIDE + (WIDTH - 3 * WIDE - 8) / 2) + 4


def _top(box: Box) -> float:
    return box.row * (HIGH + GAP) + 4


def _box(box: Box) -> str:
    left, top = _left(box), _top(box)
    lines = wrap(box.about, LETTERS)
    first = top + 24 if len(lines) > 1 else top + 29
    texts = [f'<text class="name" x="{left + 12:g}" y="{first:g}">{escape(box.name)}</text>']
    texts += [
        f'<text x="{left + 12:g}" y="{first + 18 + 16 * place:g}">{escape(line)}</text>'
        for place, line in enumerate(lines)
    ]
    frame = f'<rect class="{box.mark}" x="{left:g}" y="{top:g}" width="{WIDE}" height="{HIGH}" rx="8"/>'
    return frame + "".join(texts)


def _arrow(begin: Box, end: Box, word: str) -> str:
    """A line between the sides of two boxes that are beside or below each other."""
    if begin.row == end.row:
        right = end.column > begin.column
        y = _top(begin) + HIGH / 2
        a = (_left(begin) + (WIDE if right else 0), y)
        b = (_left(end) + (-3 if right else WIDE + 3), y)
        said = (min(a[0], b[0]) + abs(a[0] - b[0]) / 2, y - 8, "middle")
    else:
        x = _left(begin) + WIDE / 2
        a, b = (x, _top(begin) + HIGH), (x, _top(end) - 3)
        said = (x + 8, (a[1] + b[1]) / 2 + 4, "start")
    line = f'<path class="line" marker-end="url(#end)" d="M{a[0]:g} {a[1]:g}L{b[0]:g} {b[1]:g}"/>'
    return line + (
        f'<text x="{said[0]:g}" y="{said[1]:g}" text-anchor="{said[2]}">{escape(word)}</text>' if word else ""
    )
