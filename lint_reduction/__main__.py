"""``python -m lint_reduction``."""

from lint_reduction.frontends.cli import main

if __name__ == "__main__":
    main()
