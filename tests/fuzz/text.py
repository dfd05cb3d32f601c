"""Changes of a source text: of its tokens, its lines and its blocks."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from random import Random

#: Works on broken text as well, and puts it together again; `tokenize` does neither.
_TOKEN = re.compile(r"""\w+|'[^'\n]*'|"[^"\n]*"|[ \t]+|\n|\*\*|//|:=|->|[=!<>+*/-]=|.""", re.DOTALL)
_NAME = re.compile(r"[^\W\d]\w*")
_LITERAL = re.compile(r"""(["'])(?:sum|mean|none|batchmean|elementwise_mean)\1""")

ANCHORS = (
    "MSELoss CrossEntropyLoss mse_loss cross_entropy kl_div nll_loss criterion loss losses backward step zero_grad "
    "reduction size_average reduce sum mean numel size shape len batch_size self super x y torch nn F optim SGD Adam "
    "training_step compute_loss num_items_in_batch accelerator optimizer scaler ignore_index weight range enumerate "
    "detach item stack cat append zip no_grad autocast functools partial getattr isinstance print __init__ forward"
).split()
REDUCTIONS = ('"sum"', '"mean"', '"none"', '"batchmean"', '"Sum"', '""', "None", "True", "0", "'su' 'm'", "reduction")
WORDS = (
    *"( ) [ ] { } , : ; . = == := -> @ * ** / // % + - ~ | & < > ! \\ ' \" ` $ ? # \n".split(" "),
    *"if else elif for while try except finally with as def class return yield await async lambda".split(),
    *"match case type import from global nonlocal del assert raise pass break continue in is not and or".split(),
    *("None", "True", "False", "...", "_", "__class__", "*args", "**kwargs", "*_", "x, *y"),
    *("0", "-1", "1e999", "1e-999", "0x", "1_000", "0777", "1j", "9" * 500, "10**400", "nan", "0.1 + 0.2"),
    *('"""', "'''", 'f"{', 'f"{x!r:>{y}}"', 'b"\\xff"', 'r"\\"', 'u"é"', '"\\N{BULLET}"', '"\\ud800"', 'rb"', 't"{x}"'),
    *("ｌｏｓｓ", "ﬁ", "é", "变量", "𝐱", "\u200b", "\u00a0", "\u2028", "\u0085", "\x0c", "\x0b", "\x1c", "\ufeff"),
    *("\U0001f600"),
    *("# noqa", "# noqa: RED101", "# lint-reduction: ignore", "# lint-reduction: ignore[RED101", "# type: ignore"),
    *("# lint-reduction: file-ignore[RED101]", "# lint-reduction: ignore[unscaled-sum, RED2] why", "# fmt: off"),
)  # fmt: skip
_HEADS = (
    "if x:", "else:", "for i in range(3):", "while True:", "try:", "with torch.no_grad():", "def f(x, *args, y=1):",
    "class A(B):", "async def g():", "async for i in x:", "match x:", "case [a, *b]:", "except* E as e:", "finally:",
    "for epoch in range(10):", "with autocast(), x as y:", "def __getattr__(self, name):", "@decorate",
)  # fmt: skip

Change = Callable[[str, Random, Sequence[str]], str]


def _part(random: Random, parts: Sequence[object]) -> tuple[int, int]:
    """Return the ends of a stretch, most often a short one."""
    start = random.randrange(len(parts) + 1)
    return start, min(len(parts), start + int(random.expovariate(0.3)) + 1)


def _rearranged(parts: list[str], random: Random, others: Sequence[str]) -> list[str]:
    start, end = _part(random, parts)
    at = random.randrange(len(parts) + 1)
    match random.randrange(6):
        case 0:
            return parts[:start] + parts[end:]
        case 1:
            return parts[:at] + parts[start:end] + parts[at:]
        case 2:
            piece, rest = parts[start:end], parts[:start] + parts[end:]
            return rest[:at] + piece + rest[at:]
        case 3:
            return parts[:start] + parts[start:end][::-1] + parts[end:]
        case 4:
            first, last = _part(random, others)
            return parts[:start] + list(others[first:last]) + parts[end:]
        case _:
            return parts[:end] + parts[start:end] * random.choice((1, 2, 5, 20)) + parts[end:]


def tokens_rearranged(text: str, random: Random, others: Sequence[str]) -> str:
    """Delete, double, move, turn or exchange some tokens."""
    return "".join(_rearranged(_TOKEN.findall(text), random, _TOKEN.findall(random.choice(others))))


def word_inserted(text: str, random: Random, others: Sequence[str]) -> str:
    """Insert a word of Python, a bracket, a number, a quote, a character that is easily overlooked."""
    del others
    parts = _TOKEN.findall(text)
    start = random.randrange(len(parts) + 1)
    return "".join([*parts[:start], random.choice(WORDS), *parts[start + random.randrange(2) :]])


def renamed(text: str, random: Random, others: Sequence[str]) -> str:
    """Call a name otherwise, everywhere or once: most often like something that the analysis looks for."""
    del others
    names = sorted(set(_NAME.findall(text)))
    if not names:
        return text
    old, new = random.choice(names), random.choice(ANCHORS if random.random() < 0.8 else names)
    return re.sub(rf"\b{re.escape(old)}\b", new, text, count=random.choice((0, 0, 1)))


def reduction_changed(text: str, random: Random, others: Sequence[str]) -> str:
    """Write another reduction where one is written."""
    del others
    return _LITERAL.sub(lambda _: random.choice(REDUCTIONS), text, count=random.choice((0, 1)))


def lines_rearranged(text: str, random: Random, others: Sequence[str]) -> str:
    """Delete, double, move, turn or exchange some lines."""
    other = random.choice(others).splitlines(keepends=True)
    return "".join(_rearranged(text.splitlines(keepends=True), random, other))


def indented(text: str, random: Random, others: Sequence[str]) -> str:
    """Indent some lines more, less or otherwise."""
    del others
    lines = text.split("\n")
    start, end = _part(random, lines)
    by = random.choice(("    ", "  ", " ", "\t", "\x0c", "-", "strip"))
    for at in range(start, end):
        if by == "-":
            lines[at] = lines[at].removeprefix("    ")
        else:
            lines[at] = lines[at].lstrip() if by == "strip" else by + lines[at]
    return "\n".join(lines)


def joined(text: str, random: Random, others: Sequence[str]) -> str:
    """Make one line of two, or end one otherwise."""
    del others
    ends = [match.start() for match in re.finditer("\n", text)]
    if not ends:
        return text
    at = random.choice(ends)
    return (
        text[:at]
        + random.choice((";", "; ", "\\\n", " ", "  # x\n", "\n\n\n", " \\\n\n", ";\n", "\t\n"))
        + text[at + 1 :]
    )


def wrapped(text: str, random: Random, others: Sequence[str]) -> str:
    """Put some lines below a head of a block."""
    del others
    lines = text.split("\n")
    start, end = _part(random, lines)
    if start >= len(lines):
        return text
    indent = re.match(r"\s*", lines[start])
    margin = indent[0] if indent else ""
    return "\n".join(
        [*lines[:start], margin + random.choice(_HEADS), *("    " + x for x in lines[start:end]), *lines[end:]]
    )


def blocks_moved(text: str, random: Random, others: Sequence[str]) -> str:
    """Delete, double, move or exchange top-level statements."""
    blocks = re.split(r"\n(?=\S)", text)
    other = re.split(r"\n(?=\S)", random.choice(others))
    return "\n".join(_rearranged(blocks, random, other))


def spliced(text: str, random: Random, others: Sequence[str]) -> str:
    """Go on as another program does."""
    other = random.choice(others).splitlines(keepends=True)
    own = text.splitlines(keepends=True)
    return "".join(own[: random.randrange(len(own) + 1)] + other[random.randrange(len(other) + 1) :])


def nested(text: str, random: Random, others: Sequence[str]) -> str:
    """Put a name into many brackets, or make a long chain of it."""
    del others
    names = list(_NAME.finditer(text))
    if not names:
        return text
    name = random.choice(names)
    depth = random.choice((2, 5, 30, 90, 210))
    opening, closing = random.choice(
        (("(", ")"), ("[", "]"), ("f(", ")"), ("-", ""), ("not ", ""), ("", ".mean()"), ("", " + x"), ("", "[0]"),
         ("lambda: ", ""), ("{1: ", "}"), ("1 if x else ", ""), ("", ".sum()"), ("2 * ", ""), ("", " / len(x)"))
    )  # fmt: skip
    return text[: name.start()] + opening * depth + name[0] + closing * depth + text[name.end() :]


def repeated(text: str, random: Random, others: Sequence[str]) -> str:
    """Write a line again and again."""
    del others
    lines = text.splitlines(keepends=True)
    at = random.randrange(len(lines)) if lines else 0
    return "".join([*lines[:at], *lines[at : at + 1] * random.choice((10, 40, 150)), *lines[at + 1 :]])


def cut_off(text: str, random: Random, others: Sequence[str]) -> str:
    """End in the middle."""
    del others
    return text[: random.randrange(len(text) + 1)]


TOKENS: tuple[Change, ...] = (tokens_rearranged, word_inserted, renamed, reduction_changed)
LINES: tuple[Change, ...] = (lines_rearranged, indented, joined, repeated, cut_off)
BLOCKS: tuple[Change, ...] = (wrapped, blocks_moved, spliced, nested)
