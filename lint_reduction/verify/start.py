"""Start a worker: what the parent runs with ``python -I -B``.

An isolated Python finds neither ``PYTHONPATH`` nor the current directory, where a project under analysis could keep a
module called torch. So the package is loaded from the parent's own copy, by its place.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path


def load_package() -> None:
    """Import the package that this file belongs to, without a look at ``sys.path``."""
    folder = Path(__file__).resolve().parent.parent
    spec = importlib.util.spec_from_file_location(
        "lint_reduction", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["lint_reduction"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    load_package()
    from lint_reduction.verify.worker import main

    # where pip installs without a virtual environment, which an isolated Python leaves out
    sys.path += sys.argv[2:]
    main(sys.argv[1])
    os._exit(0)  # what others would tidy up, they would tidy up behind the lock
