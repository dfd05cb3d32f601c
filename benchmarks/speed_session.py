"""What is run to measure the speed, one part after the other; what is compared is run in turn."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from floor import FLOOR, survivors
from measuring import FailedError, Samples, measure
from speed_setup import PEERS, RUFF, SMALL, Peer, Workshop, link, python_files

from lint_reduction.source.file import MAX_BYTES

#: A walk over all Python files, with the times and sizes that a cache needs: what no run can do without.
_WALK = """
import os, sys
folders = [sys.argv[1]]
while folders:
    with os.scandir(folders.pop()) as entries:
        for entry in entries:
            if entry.name.endswith(".py"):
                entry.stat()
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.path)
"""
#: Says which modules were imported.
_IMPORTED = """
import runpy, sys
sys.argv[0] = "lint-reduction"
try:
    runpy.run_module("lint_reduction", run_name="__main__")
except SystemExit:
    pass
print("imported:", *sorted({"libcst", "torch", "rich", "click", "yaml", "pathspec", "ast"} & sys.modules.keys()))
"""
#: A loss that is trained on right: libcst is imported, and there is next to nothing to parse.
_ONE_FILE = "import torch.nn.functional as F\n\n\ndef f(x, y):\n    F.mse_loss(x, y).backward()\n"
#: How many copies of which corpus show how time and memory grow.
COPIES, COPIED = (1, 2, 4, 8), "speechbrain"
#: A larger corpus is run less often: what it takes varies less.
_LARGE = 20_000_000
ALL = "ALL"
HELP, ONE_FILE, NOTHING = "--help", "one file", "no survivor"


@dataclass(frozen=True, slots=True)
class Corpus:
    """Files to lint.

    Attributes:
        name: as in the tables.
        path: where they are.
        files, size: how many there are, and their bytes.
        survivors: those that have to be parsed.
        survivors_size: the bytes of these.
    """

    name: str
    path: Path
    files: int
    size: int
    survivors: tuple[Path, ...]
    survivors_size: int

    @classmethod
    def of(cls, name: str, path: Path) -> Corpus:
        """Look at what is in a directory."""
        files, kept = python_files(path), tuple(survivors(path))
        sizes = [sum(file.stat().st_size for file in some) for some in (files, kept)]
        return cls(name, path, len(files), sizes[0], kept, sizes[1])


@dataclass(slots=True)
class Session:
    """One invocation.

    Attributes:
        workshop: where all is kept.
        runs: how often what is fast is run.
        corpora: what is linted.
        full: whether to run all linters everywhere, as often as ours.
        whole: whether these are all corpora, so that they are linted together as well.
        samples: what was measured so far.
        imported: which modules a kind of run imports.
        notes: what was not as it should be.
    """

    workshop: Workshop
    runs: int
    corpora: list[Corpus]
    full: bool = False
    whole: bool = True
    samples: Samples = field(default_factory=Samples)
    imported: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def run(self, what: str, on: str, command: Sequence[str], ok: Sequence[int] = (0,)) -> None:
        """Run a command once, and keep what it took; what fails is told of and left out."""
        try:
            sample = measure(command, self.workshop.root, ok)
        except FailedError as error:
            note = f"{what} on {on}: {error}"
            if note not in self.notes:
                self.notes.append(note)
            print(f"  failed: {note}", flush=True)
            return
        self.samples.add(what, on, sample)
        print(f"  {what:18} {on:18} {sample.cpu:8.2f} s CPU {sample.wall:8.2f} s {sample.peak:6.0f} MiB", flush=True)

    def ours(self, path: Path | str, *options: str) -> list[str]:
        """Return our command."""
        return [sys.executable, "-m", "lint_reduction", "check", "--isolated", "--exit-zero", *options, str(path)]

    def ruff(self, path: Path, *options: str) -> list[str]:
        """Return that of ruff."""
        return [*_command(RUFF, self.workshop.executable(RUFF), path), *options]

    def walk(self, path: Path) -> list[str]:
        """Return that of a bare walk."""
        return [sys.executable, "-c", _WALK, str(path)]

    def cold(self) -> None:
        """Run ours without a cache, the floor, and ruff."""
        for corpus in self.corpora:
            listing = self.workshop.root / "work" / f"{corpus.name}.txt"
            listing.write_text("\0".join(map(str, corpus.survivors)), encoding="utf-8")
            for _ in range(self.runs - (corpus.size > _LARGE and self.runs > 1)):
                self.run("floor", corpus.name, [sys.executable, "-c", FLOOR, str(listing)])
                self.run("ours, cold", corpus.name, self.ours(corpus.path, "--no-cache"))
                self.run("ruff, cold", corpus.name, self.ruff(corpus.path, "--no-cache"))

    def peers(self) -> None:
        """Run the other linters, each beside ours."""
        for peer in PEERS:
            program = self.workshop.executable(peer)
            for corpus in self.corpora:
                wanted = self.full or corpus.name in peer.corpora
                for _ in range((1 if peer.once and not self.full else self.runs) if wanted else 0):
                    self.run("ours, cold", corpus.name, self.ours(corpus.path, "--no-cache"))
                    self.run(peer.name, corpus.name, _command(peer, program, corpus.path), peer.ok)

    def warm(self) -> None:
        """Run ours with a full cache, a bare walk, and ruff with its cache, on small corpora and on all of them."""
        if self.whole:
            self.corpora.append(Corpus.of(ALL, self.workshop.corpora))
        for corpus in self.corpora:
            if self.whole and not self.full and corpus.name not in (*SMALL, ALL):
                continue
            caches = [self.workshop.root / "work" / f"{name}-{corpus.name}" for name in ("cache", "ruff")]
            for cache in caches:
                shutil.rmtree(cache, ignore_errors=True)
            ours = self.ours(corpus.path, "--cache-dir", str(caches[0]))
            ruff = self.ruff(corpus.path, "--cache-dir", str(caches[1]))
            self.run("ours, filling", corpus.name, ours)
            self.run("ruff, filling", corpus.name, ruff)
            for _ in range(max(self.runs, 5)):
                self.run("walk", corpus.name, self.walk(corpus.path))
                self.run("ours, warm", corpus.name, ours)
                self.run("ruff, warm", corpus.name, ruff)
            self._one_changed(corpus, ours)
        for _ in range(2):
            # the first run finds the file that was changed back
            self._imported("warm", ours)

    def _one_changed(self, corpus: Corpus, ours: Sequence[str]) -> None:
        """Change one file that has to be parsed, of a middling size, and run again; then change it back."""
        if not corpus.survivors:
            return
        path = sorted(corpus.survivors, key=lambda file: file.stat().st_size)[len(corpus.survivors) // 2]
        before = path.read_bytes()
        try:
            for index in range(self.runs):
                path.write_bytes(before + b"\n# changed" + b"." * index + b"\n")
                self.run("one file changed", corpus.name, ours)
        finally:
            path.write_bytes(before)

    def nothing(self) -> None:
        """Run ours where nothing has to be parsed: on the files that do not survive, and asked for help."""
        root = self.workshop.root / "work"
        tree, one = root / "no_survivors", root / "one_file"
        for folder in (tree, one):
            shutil.rmtree(folder, ignore_errors=True)
        for corpus in self.corpora:
            if corpus.name != ALL:
                kept = set(corpus.survivors)
                for path in python_files(corpus.path):
                    if path not in kept and path.stat().st_size <= MAX_BYTES:
                        link(path, tree / corpus.name / path.relative_to(corpus.path))
        one.mkdir()
        (one / "one.py").write_text(_ONE_FILE)
        for _ in range(max(self.runs, 5)):
            self.run("ours, cold", NOTHING, self.ours(tree, "--no-cache"))
            self.run("ours, cold", ONE_FILE, self.ours(one, "--no-cache"))
            self.run("ours", HELP, [sys.executable, "-m", "lint_reduction", "check", "--help"])
            self.run("python", HELP, [sys.executable, "-c", ""])
        self._imported(NOTHING, self.ours(tree, "--no-cache"))
        self._imported(HELP, [*self.ours(tree), "--help"])

    def _imported(self, what: str, command: Sequence[str]) -> None:
        """Run one of our commands, and see what it imports."""
        ran = subprocess.run(
            [sys.executable, "-c", _IMPORTED, *command[3:]],
            cwd=self.workshop.root,
            capture_output=True,
            text=True,
            check=False,
        )
        self.imported[what] = ran.stdout.rpartition("imported:")[2].strip()

    def growth(self) -> None:
        """Run ours on copies of the same files."""
        origin = next((corpus for corpus in self.corpora if corpus.name == COPIED), None)
        if origin is None:
            return
        root = self.workshop.root / "work" / "copies"
        shutil.rmtree(root, ignore_errors=True)
        for count in COPIES:
            for copy in range(count):
                for path in python_files(origin.path):
                    link(path, root / str(count) / f"copy{copy}" / path.relative_to(origin.path))
        for _ in range(self.runs):
            for count in COPIES:
                self.run("ours, cold", f"{count} copies", self.ours(root / str(count), "--no-cache"))
        for count in COPIES:
            cache = self.workshop.root / "work" / f"cache-{count}"
            shutil.rmtree(cache, ignore_errors=True)
            for what in ("ours, filling", *(["ours, warm"] * self.runs)):
                self.run(what, f"{count} copies", self.ours(root / str(count), "--cache-dir", str(cache)))


def _command(peer: Peer, program: str, path: Path) -> list[str]:
    return [program, *(str(path) if word == "PATH" else word for word in peer.arguments[1:])]
