"""``python -m lint_reduction``."""

from lint_reduction.frontends.start import main

if __name__ == "__main__":
    main()
