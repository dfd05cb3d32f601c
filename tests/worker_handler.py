"""What a worker runs in tests in place of the laboratory: loaded by file name, inside the worker, before the lock."""

from __future__ import annotations

import ctypes
import importlib
import os
import time

for name in """
    _socket _thread fcntl http.client json mmap multiprocessing.shared_memory resource select shutil signal socket stat
    struct subprocess tempfile threading
""".split():
    importlib.import_module(name)  # attacks use them, and could not import them behind the lock
ctypes.CDLL(None)


def run(experiment: dict[str, object], device: object) -> dict[str, object]:
    """Do as the experiment says, whatever it is."""
    if "code" in experiment:
        names: dict[str, object] = {"device": device}
        exec(str(experiment["code"]), names)
        return {"out": repr(names.get("out"))[:1500]}
    if "sleep" in experiment:
        time.sleep(float(str(experiment["sleep"])))
    if "give" in experiment:
        return {"out": experiment["give"]}
    return {"pid": os.getpid(), "got": experiment}
