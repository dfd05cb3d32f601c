"""The body of a worker process: import torch, warm up, lock, then answer experiments until the parent hangs up."""

from __future__ import annotations

import importlib
import importlib.util
import json
import linecache
import os
import sys
import time
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lint_reduction.errors import ConfigError
from lint_reduction.verify import lockdown, protocol

if TYPE_CHECKING:
    from lint_reduction.verify.device import Device

#: What runs an experiment: its function ``run`` is called with the experiment and the device.
LABORATORY = "lint_reduction.verify.laboratory"

Run = Callable[[dict[str, object], "Device | None"], dict[str, object]]


@dataclass(frozen=True, slots=True)
class Start:
    """How a worker is to start: what the parent writes on its command line.

    Attributes:
        device: as in ``device.choose``.
        slot: the number of the worker in its pool.
        limits: what it may use.
        layers: those of its sandbox.
        test_handler: for tests of the walls only, a file with another function ``run``.
        test_bare: for the same tests, start without torch.
        test_accelerator: for the same tests, put on the lock of an accelerator on any device.
    """

    device: str
    slot: int = 0
    memory: int = lockdown.MEMORY
    cpu_seconds: int = lockdown.CPU_SECONDS
    layers: tuple[str, ...] = lockdown.LAYERS
    test_handler: str = ""
    test_bare: bool = False
    test_accelerator: bool = False


class SurplusError(Exception):
    """Every accelerator has its worker already."""


def main(configuration: str) -> None:
    """Serve experiments on the descriptors 0 and 1, and end with the parent.

    Args:
        configuration: a ``Start``, as JSON.
    """
    channel = Channel()
    alarm = lockdown.Alarm()
    try:
        run, device, about = _begin(Start(**json.loads(configuration)), alarm)
    except SurplusError:
        channel.send({"ready": False, "surplus": True})
        return
    except ConfigError as error:
        channel.send({"ready": False, "reason": protocol.clean_text(str(error), 300)})
        return
    except Exception as error:
        channel.send({"ready": False, "reason": _reason(error)})
        return
    channel.send({"ready": True, **about})
    _serve(channel, run, device, alarm)


class Channel:
    """The two pipes to the parent, on descriptors of their own: nothing that a library prints gets between frames."""

    def __init__(self) -> None:
        self._incoming, self._outgoing = os.dup(0), os.dup(1)
        nowhere = os.open(os.devnull, os.O_RDWR)
        for descriptor in range(3):
            os.dup2(nowhere, descriptor)
        os.close(nowhere)

    def receive(self) -> dict[str, object] | None:
        """Return what the parent sends, or None if it has hung up."""
        frame = protocol.read_frame(lambda count: os.read(self._incoming, count))
        if frame is None:
            return None
        value: dict[str, object] = json.loads(frame)
        return value

    def send(self, message: Mapping[str, object]) -> None:
        """Send a message to the parent."""
        frame = protocol.encode(message)
        while frame:
            frame = frame[os.write(self._outgoing, frame) :]


def _begin(start: Start, alarm: lockdown.Alarm) -> tuple[Run, Device | None, dict[str, object]]:
    """Import, warm up and lock; return what runs experiments, where, and what the parent is told of it."""
    run, device, note = _prepare(start)
    _read_no_sources()
    accelerated = start.test_accelerator or (device is not None and device.accelerated)
    limits = lockdown.Limits(start.memory, start.cpu_seconds)
    layers = lockdown.lock(accelerated, limits, alarm, start.layers)
    if device is not None and device.accelerated:
        device, note = _behind_lock(device, note)
    alarm.events.clear()
    about = {"device": device.name, "dtype": str(device.dtype)} if device is not None else {}
    return run, device, {"layers": layers, "accelerated": accelerated, "note": note, **about}


def _read_no_sources() -> None:
    """Let warnings and tracebacks do without the lines of source that they quote: each of them would open a file."""
    warnings.simplefilter("ignore")
    warnings.showwarning = lambda *_, **__: None
    linecache.updatecache = lambda *_: []


def _prepare(start: Start) -> tuple[Run, Device | None, str]:
    """Import and warm up all that an experiment needs; afterwards nothing can be imported."""
    if start.test_bare:
        return _handler(start.test_handler), None, ""
    try:
        from lint_reduction.verify import device as devices
        from lint_reduction.verify.warm import warm
    except ImportError as error:
        raise ConfigError(f"torch cannot be imported ({error}): pip install 'lint-reduction[verify]'") from None
    devices.numeric_policy()
    device = devices.choose(start.device, start.slot)
    if device is None:
        raise SurplusError
    note = ""
    devices.limit_memory(device)
    try:
        warm(device)
    except Exception as error:
        if not device.accelerated:
            raise
        note = f"{device.name} does not work, the CPU is used: {_reason(error)}"
        device = devices.on_cpu()
        warm(device)
    run = _handler(start.test_handler) if start.test_handler else _laboratory(device)
    return run, device, note


def _laboratory(device: Device) -> Run:
    """Import what runs experiments, and run some so that nothing is left to be imported."""
    from lint_reduction.verify.rehearsal import rehearsals

    laboratory = importlib.import_module(LABORATORY)
    _same_seed(device)
    for rehearsal in rehearsals():
        laboratory.run(json.loads(rehearsal.to_json()), device.final, device.dtype)

    def run(experiment: dict[str, object], device: Device | None) -> dict[str, object]:
        assert device is not None
        answer: dict[str, object] = laboratory.run(experiment, device.final, device.dtype)
        return answer

    return run


def _handler(path: str) -> Run:
    """Load a function ``run`` from a file of tests."""
    spec = importlib.util.spec_from_file_location("test_handler", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    run: Run = module.run
    return run


def _behind_lock(device: Device, note: str) -> tuple[Device, str]:
    """Return the device if it still computes, and otherwise the CPU: never the device outside the lock."""
    from lint_reduction.verify import device as devices

    try:
        devices.check(device.final, device.dtype)
    except Exception as error:
        return devices.on_cpu(), f"{device.name} does not work behind the lock, the CPU is used: {_reason(error)}"
    return device, note


def _serve(channel: Channel, run: Run, device: Device | None, alarm: lockdown.Alarm) -> None:
    while (job := channel.receive()) is not None:
        began = time.perf_counter()
        answer = _answer(run, job, device)
        if alarm.events:
            answer = {"status": protocol.Status.TRIPPED.value, "reason": ", ".join(sorted(set(alarm.events)))}
            alarm.events.clear()
        spoiled = _spoiled(device)
        message = {"id": job["id"], "seconds": time.perf_counter() - began, "spoiled": spoiled, **answer}
        try:
            channel.send(message)
        except protocol.ProtocolError as error:
            channel.send({"id": job["id"], "status": protocol.Status.FAILED.value, "reason": _reason(error)})


def _answer(run: Run, job: dict[str, object], device: Device | None) -> dict[str, object]:
    experiment = job["experiment"]
    assert isinstance(experiment, dict)
    try:
        if device is not None:
            _same_seed(device)
        return {"status": protocol.Status.DONE.value, "result": run(experiment, device)}
    except BaseException as error:  # a worker that is taken for dead costs seconds
        return {"status": protocol.Status.FAILED.value, "reason": _reason(error)}


def _same_seed(device: Device) -> None:
    """Let no experiment depend on the ones before it."""
    from lint_reduction.verify import device as devices

    devices.reseed(device)


def _spoiled(device: Device | None) -> bool:
    """Whether an accelerator is of no use any more, as after an assertion in one of its kernels."""
    if device is None or not device.accelerated:
        return False
    from lint_reduction.verify import device as devices

    try:
        devices.check(device.final, device.dtype)
    except Exception:
        return True
    return False


def _reason(error: BaseException) -> str:
    try:
        text = str(error)
    except BaseException:  # an exception of an experiment can do anything
        text = ""
    return protocol.clean_text(f"{type(error).__name__}: {text}" if text else type(error).__name__, 300)


if __name__ == "__main__":
    sys.exit("started by the pool")
