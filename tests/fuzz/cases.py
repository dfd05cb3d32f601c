"""One damaged input by its number: a file, a notebook or a project, with settings beside it and options."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random

from tests.fixture_files import FIXTURES
from tests.fuzz import trees
from tests.fuzz.octets import OCTETS
from tests.fuzz.text import BLOCKS, LINES, TOKENS

_FOLDERS = {"corpus", "known_false_alarms"}
_NAMES = (
    "x.py",
    "x.py",
    "x.py",
    "train.py",
    "a b.py",
    "ä变.py",
    "x.pyi",
    "%41#.py",
    "'\".py",
    "test_x.py",
    "__init__.py",
)
_MAGICS = (
    "%matplotlib inline\n",
    "!pip install x\n",
    "%%time\n",
    "%%bash\n",
    "x = !ls\n",
    "?x\n",
    "%%writefile a.py\n",
    "x?\n",
)
_RULES = ("ALL", "RED", "RED1", "RED101", "unscaled-sum", "RED000", "RED999", "", "red101", "X")
_SETTINGS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("select", ('["ALL"]', "[]", '["RED1"]', '["nonesuch"]', "3", '"ALL"')),
    ("extend-select", ('["RED2"]', '["kl-div-mean"]')),
    ("ignore", ('["RED101"]', '["unscaled-sum"]', "[1]")),
    ("per-file-ignores", ('{"*.py" = ["RED1"]}', '{"" = []}', '{"[" = ["ALL"]}', '{"!x.py" = ["RED101"]}', "[]")),
    ("exclude", ('["x.py"]', "[]", '["**"]', '["["]', '["\\\\"]', '["!"]')),
    ("min-confidence", ('"low"', '"high"', '"none"', "1")),
    ("min-severity", ('"error"', '"note"', '"x"')),
    ("fail-on", ('"error"', '"note"', "true")),
    ("fixed-batch-size", ("true", "false", '"yes"')),
    ("respect-gitignore", ("false",)),
    ("follow-installed", ("true", "0")),
    ("baseline", ('"missing.json"', '"x.py"', '""', '"."')),
    ("counts", ('{samples = ["n", "x"]}', '{valid = ["mask"], elements = []}', '{bogus = ["n"]}', '{samples = [1]}')),
    ("loss", ('[{name = "mine.Loss", shape = "scalar"}]', "[{}]", '[{name = "x.criterion"}]', "{}", "[1]")),
    ("optimizer", ('[{name = "mine.Adam"}]', '[{name = ""}]')),
    ("alias", ('[{name = "a.b", of = "a.b"}]', '[{name = "a.b"}]')),
    ("bogus", ("1",)),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Case:
    """An input.

    Attributes:
        files: their content by path.
        target: the file that was changed.
        changes: the changes, in order.
        arguments: of ``lint-reduction check``, with the paths.
    """

    files: dict[str, bytes]
    target: str
    changes: tuple[str, ...]
    arguments: tuple[str, ...]


@dataclass
class Seeds:
    """What is damaged.

    Attributes:
        texts: programs.
        projects: folders of programs and settings, by the path of each file.
        notebooks: the bytes of notebooks.
    """

    texts: Sequence[str]
    projects: Sequence[dict[str, bytes]]
    notebooks: Sequence[bytes]

    @classmethod
    def of(cls, folders: Sequence[Path] = ()) -> Seeds:
        """Read the fixtures, and the Python files and notebooks below other folders."""
        texts, notebooks = [], []
        for root in (FIXTURES, *folders):
            for path in sorted(root.rglob("*.py")):
                if path.is_file() and (root != FIXTURES or path.relative_to(root).parts[0] not in _FOLDERS):
                    texts.append(path.read_bytes().decode("utf-8", errors="replace"))
            notebooks += [path.read_bytes() for path in sorted(root.rglob("*.ipynb")) if path.is_file()]
        projects = [
            {path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*.*"))}
            for folder in sorted(FIXTURES.glob("*/project_*"))
        ]
        return cls([text for text in texts if len(text) < 60_000], projects, notebooks)

    @cached_property
    def loaded_with_settings(self) -> list[dict[str, bytes]]:
        """The projects that read settings from YAML."""
        return [files for files in self.projects if any(path.endswith(".yaml") for path in files)]


def make(seeds: Seeds, seed: int, number: int) -> Case:
    """Return an input, always the same for the same two numbers."""
    random = Random(f"{seed}:{number}")
    kind = random.choices((_program, _project, _notebook), (72, 16, 12))[0]
    files, target, changes = kind(seeds, random)
    if random.random() < 0.08:
        path, content = _settings(random)
        files, changes = files | {path: content}, (*changes, "settings")
    return Case(files, target, changes, (*_options(random), *_paths(random, kind is _project, target)))


def _changed(text: str, seeds: Seeds, random: Random) -> tuple[bytes, tuple[str, ...]]:
    """Damage a text, most often so that it stays a program, and then at times its bytes."""
    changes = []
    levels = random.choice(((trees.changed,), (trees.changed,), TOKENS, LINES, BLOCKS, (*TOKENS, *LINES, *BLOCKS)))
    for _ in range(1 + int(random.expovariate(0.6))):
        change = random.choice(levels)
        text = change(text, random, seeds.texts)[:30_000]
        changes.append("tree" if change is trees.changed else change.__name__)
    data = text.encode("utf-8", errors="surrogatepass")
    while random.random() < 0.2:
        octets = random.choice(OCTETS)
        data = octets(data, random)
        changes.append(octets.__name__.lstrip("_"))
    return data, tuple(changes)


def _program(seeds: Seeds, random: Random) -> tuple[dict[str, bytes], str, tuple[str, ...]]:
    data, changes = _changed(random.choice(seeds.texts), seeds, random)
    name = random.choice(_NAMES)
    return {name: data}, name, changes


def _project(seeds: Seeds, random: Random) -> tuple[dict[str, bytes], str, tuple[str, ...]]:
    files = random.choice(seeds.loaded_with_settings if random.random() < 0.3 else seeds.projects)
    target = random.choice(sorted(path for path in files if path.endswith((".py", ".yaml", ".toml"))))
    data, changes = _changed(files[target].decode(), seeds, random)
    return files | {target: data}, target, (*changes, "project")


def _notebook(seeds: Seeds, random: Random) -> tuple[dict[str, bytes], str, tuple[str, ...]]:
    data, changes = _changed(random.choice(seeds.texts), seeds, random)
    document: object = _cells(data.decode("utf-8", errors="replace"), random)
    if random.random() < 0.1:
        document = json.loads(random.choice(seeds.notebooks))
    if random.random() < 0.2:
        document = _misshapen(document, random)
        changes = (*changes, "misshapen")
    text = json.dumps(document, indent=random.choice((None, 1, 2)), ensure_ascii=random.random() < 0.5)
    data = text.encode("utf-8", errors="surrogatepass")
    while random.random() < 0.15:
        octets = random.choice(OCTETS)
        data = octets(data, random)
        changes = (*changes, octets.__name__.lstrip("_"))
    return {"x.ipynb": data}, "x.ipynb", (*changes, "notebook")


def _cells(text: str, random: Random) -> dict[str, object]:
    cells: list[object] = []
    for part in re.split(r"\n(?=\S)", text):
        magic = random.choice(_MAGICS) if random.random() < 0.05 else ""
        source: object = (magic + part).splitlines(keepends=True)
        if random.random() < 0.3:
            source = magic + part
        kind = random.choices(("code", "markdown", "raw"), (30, 2, 1))[0]
        cells.append({"cell_type": kind, "metadata": {}, "source": source, "outputs": [], "execution_count": None})
    return {"cells": cells, "metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 5}


def _misshapen(document: object, random: Random) -> object:
    """Put something else somewhere into a document."""
    if random.random() < 0.15 or not isinstance(document, (dict, list)) or not document:
        return random.choice(
            (None, 0, -1.5, "", "x = 1\n", [], {}, ["x", 1, None], {"cells": []}, True, [[[]]], "\ud800")
        )
    if isinstance(document, dict):
        key = random.choice(list(document))
        if random.random() < 0.2:
            return {k: v for k, v in document.items() if k != key}
        return document | {key: _misshapen(document[key], random)}
    at = random.randrange(len(document))
    return [*document[:at], _misshapen(document[at], random), *document[at + 1 :]]


def _settings(random: Random) -> tuple[str, bytes]:
    name = random.choice(("pyproject.toml", "lint-reduction.toml", ".lint-reduction.toml"))
    chosen = random.sample(_SETTINGS, random.choice((1, 1, 2, 4)))
    text = "".join(f"{key} = {random.choice(values)}\n" for key, values in chosen)
    if name == "pyproject.toml":
        text = random.choice(("[tool.lint-reduction]\n", "[tool.lint-reduction]\n", "[tool.other]\n")) + text
    data = text.encode()
    return name, random.choice(OCTETS)(data, random) if random.random() < 0.15 else data


def _options(random: Random) -> tuple[str, ...]:
    options: list[str] = []
    if random.random() < 0.6:
        options += ["--select", "ALL", "--min-confidence", "low"]
    elif random.random() < 0.1:
        options += [random.choice(("--select", "--ignore", "--extend-select")), random.choice(_RULES)]
    if random.random() < 0.05:
        options += ["--no-ignores"]
    if random.random() < 0.05:
        options += ["--unsafe-fixes"]
    return tuple(options)


def _paths(random: Random, is_project: bool, target: str) -> tuple[str, ...]:
    """Name the directory or the file; ``./`` so that no name is taken for an option."""
    whole = is_project or random.random() < 0.2 or not target.endswith((".py", ".pyi", ".ipynb"))
    return (".",) if whole else (f"./{target}",)
