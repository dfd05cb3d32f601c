"""The variables of a worker's environment: these, and none of the user's own."""

from __future__ import annotations

import os
import platform

#: Where there is nothing, so that no library finds settings or writes a cache.
_NOWHERE = "/nonexistent"

_FIXED = {
    "PATH": "/usr/bin:/bin",
    "HOME": _NOWHERE,
    "LC_ALL": "C.UTF-8",
    # one thread: the order of a sum does not change, and workers do not fight for cores
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "CUBLAS_WORKSPACE_CONFIG": ":4096:8",  # cuBLAS is deterministic only with it
    "CUDA_CACHE_DISABLE": "1",
    "CUDA_MODULE_LOADING": "EAGER",  # before the lock, not behind it
    "PYTORCH_NVML_BASED_CUDA_CHECK": "1",
    "PYTORCH_ENABLE_MPS_FALLBACK": "1",
    "TORCHINDUCTOR_CACHE_DIR": _NOWHERE,
}

#: Handed on where they are set: which accelerators there are, where libraries are, what Windows cannot start without.
_HANDED_ON = (
    "CUDA_VISIBLE_DEVICES",
    "HIP_VISIBLE_DEVICES",
    "ROCR_VISIBLE_DEVICES",
    "ZE_AFFINITY_MASK",
    "LD_LIBRARY_PATH",
    "OPENBLAS_CORETYPE",
    "SYSTEMROOT",
)


def variables() -> dict[str, str]:
    """Return the whole environment of a worker."""
    handed_on = {name: os.environ[name] for name in _HANDED_ON if name in os.environ}
    fixed = {name: value for name, value in _FIXED.items() if name != "PATH"} if _windows() else _FIXED
    return {**fixed, **handed_on}


def _windows() -> bool:
    return platform.system() == "Windows"
