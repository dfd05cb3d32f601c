"""Where the command begins: what was asked before and has not changed is answered before anything else is imported."""

from __future__ import annotations

import gc
import os
import sys

from lint_reduction.run.replay import replayed


def main() -> None:
    """Run the command; what goes wrong is one line on stderr and exit status 2."""
    arguments = sys.argv[1:]
    gc.disable()
    unchanged = None if "_LINT_REDUCTION_COMPLETE" in os.environ else replayed(arguments)
    gc.enable()
    if unchanged is None:
        from lint_reduction.frontends.cli import main as run

        return run(arguments)
    try:
        for file, text in unchanged.texts:
            if file is not None:
                with open(file, "w", encoding="utf-8", errors="replace", newline="") as stream:
                    stream.write(text)
            elif sys.stdout is not None:
                sys.stdout.reconfigure(errors="replace")  # type: ignore[union-attr]  # as of a process
                sys.stdout.write(text)
                sys.stdout.flush()
    except OSError:
        # what cannot be written is for the command to say
        from lint_reduction.frontends.cli import main as run

        return run()
    raise SystemExit(unchanged.status)
