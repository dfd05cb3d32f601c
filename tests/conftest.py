"""What holds for all tests: the same random programs every time, and no settings of the machine."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "lint-reduction",
    derandomize=True,
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
settings.load_profile("lint-reduction")


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Take away what changes the output of the command, and give each test a cache of its own."""
    monkeypatch.setenv("LINT_REDUCTION_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
    for name in ("NO_COLOR", "FORCE_COLOR", "LINT_REDUCTION_OUTPUT_FORMAT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep results of each test apart, and out of the home of who runs the tests."""
    monkeypatch.setenv("LINT_REDUCTION_CACHE_DIR", str(tmp_path_factory.getbasetemp() / "cache" / str(id(monkeypatch))))
