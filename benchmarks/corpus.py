"""Download the packages of `fixtures/corpus/packages.tsv` by version and hash, and unpack their Python files.

    python benchmarks/corpus.py [DEST]

Nothing is installed and no code of a package is run. Packages that are there already are kept.
"""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

CORPUS = Path(__file__).parent.parent / "fixtures" / "corpus"
#: Where packages are unpacked when nobody says where.
DEFAULT_DESTINATION = Path(__file__).parent / ".corpus"
_MARK = ".fetched-sha256"


def rows(name: str) -> list[dict[str, str]]:
    """Return the rows of a table of the corpus."""
    with (CORPUS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def fetch_all(destination: Path, jobs: int = 4) -> list[str]:
    """Fetch every package and return what went wrong, a line each."""
    destination.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(jobs) as pool:
        problems = pool.map(lambda row: fetch(row, destination), rows("packages.tsv"))
        return [problem for problem in problems if problem]


def fetch(row: dict[str, str], destination: Path) -> str:
    """Fetch a package, and return what went wrong; a row may name the platform of its wheel."""
    name = f"{row['package']}=={row['version']}"
    target = destination / name
    mark = target / _MARK
    if mark.is_file() and mark.read_text() == row["sha256"]:
        return ""
    with tempfile.TemporaryDirectory(dir=destination) as temporary:
        folder = Path(temporary)
        requirement = folder / "requirement.txt"
        requirement.write_text(f"{name} --hash=sha256:{row['sha256']}\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--pre", "--ignore-requires-python", "--require-hashes", "--only-binary", ":all:"]
        if row.get("platform"):
            command += ["--platform", row["platform"], "--python-version", "3.11"]
        run = subprocess.run(
            [*command, "-d", str(folder), "-r", str(requirement)], capture_output=True, text=True, check=False
        )
        wheels = list(folder.glob("*.whl"))
        if run.returncode or len(wheels) != 1:
            return f"{name}: {run.stderr.strip()[-300:]}"
        if hashlib.sha256(wheels[0].read_bytes()).hexdigest() != row["sha256"]:
            return f"{name}: another hash than expected"
        unpacked = folder / "unpacked"
        unpack(wheels[0], unpacked)
        (unpacked / _MARK).write_text(row["sha256"])
        if not target.exists():
            unpacked.rename(target)
    return ""


def unpack(wheel: Path, folder: Path) -> None:
    """Unpack the Python files of a wheel."""
    folder.mkdir()
    with zipfile.ZipFile(wheel) as archive:
        for member in archive.infolist():
            path = PurePosixPath(member.filename)
            if path.suffix == ".py" and not path.is_absolute() and ".." not in path.parts:
                goal = folder / path
                goal.parent.mkdir(parents=True, exist_ok=True)
                goal.write_bytes(archive.read(member))


def main() -> int:
    """Fetch into the directory that is named, or beside this file."""
    destination = Path(sys.argv[1]) if len(sys.argv) > 1 else DEFAULT_DESTINATION
    problems = fetch_all(destination)
    for problem in problems:
        print(problem)
    print(f"{len(rows('packages.tsv')) - len(problems)} of {len(rows('packages.tsv'))} packages in {destination}")
    return bool(problems)


if __name__ == "__main__":
    sys.exit(main())
