"""The workers of a run: fed with experiments, watched by the clock, and replaced when they are of no use any more.

Nothing here imports torch, and nothing that a worker says is believed: see ``protocol``.
"""

from __future__ import annotations

import queue
import secrets
import sys
import tempfile
import time
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Literal

from lint_reduction.errors import ConfigError
from lint_reduction.verify import cache as caches
from lint_reduction.verify import lockdown, protocol
from lint_reduction.verify.process import Event, WorkerProcess
from lint_reduction.verify.protocol import ProtocolError, Reply, Status

Sandbox = Literal["best-effort", "strict"]

#: How long a worker may take to import torch and warm up, on a loaded machine with a slow disk.
_START_SECONDS = 180.0
#: How often a worker may fail to start before the run gives up.
_STARTS = 2
#: A worker that computed for so long is replaced before it meets its limit of CPU time.
_BUSY_SECONDS = 300.0
_MARGIN_SECONDS = 60

_READY: protocol.Shape = {
    "ready": bool,
    "surplus": bool,
    "reason": str,
    "note": str,
    "device": str,
    "dtype": str,
    "accelerated": bool,
    "layers": {"*": str},
}
_ANSWER: dict[str, protocol.Shape] = {
    "id": str,
    "status": str,
    "reason": str,
    "result": {"*": object},
    "seconds": float,
    "spoiled": bool,
}
#: The states that a worker may say an experiment is in; the parent sees the others for itself.
_SAID = (Status.DONE.value, Status.FAILED.value, Status.TRIPPED.value)


#: What becomes of a worker that has to be replaced.
_LOST = {
    Status.TIMEOUT: "took too long",
    Status.DIED: "ended by itself",
    Status.MALFORMED: "gave no answer that is one",
    Status.TRIPPED: "did what no experiment does",
}


@dataclass(frozen=True, slots=True)
class _Job:
    index: int
    experiment: Mapping[str, object]
    key: str
    nonce: str = field(default_factory=lambda: secrets.token_hex(8))


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker and what it is at: starting until ``ready``, then idle or at a job.

    Attributes:
        slot: its number in the pool.
        process: it.
        deadline: when what it is at has taken too long.
        ready: whether it said that it can begin.
        job: what it is at.
        began: when it was given that.
        served: how many experiments it was given.
        busy: for how many seconds it worked.
        device, layers: what it said of itself.
    """

    slot: int
    process: WorkerProcess
    deadline: float
    ready: bool = False
    job: _Job | None = None
    began: float = 0.0
    served: int = 0
    busy: float = 0.0
    device: str = ""
    layers: Mapping[str, str] = field(default_factory=dict)


class Pool:
    """Locked workers that run experiments, as a context manager; used from one thread.

    Args:
        device: as in ``device.choose``.
        jobs: how many workers there are at most; an accelerator has one.
        timeout: seconds of an experiment.
        sandbox: ``strict`` to refuse a platform that has less than the whole lock.
        recycle: how many experiments a worker runs before it is replaced.
        cache: what is known from earlier runs.
        shape: what a result may be; by default any JSON of bounded size.
        test_only: for tests of the walls, fields of ``worker.Start``; never set otherwise.

    Attributes:
        started: how many workers were started.
        note: why the device is another one than was asked for, empty if it is not.
        lost: how many experiments came to nothing, by what became of their worker.
    """

    def __init__(
        self,
        device: str = "auto",
        jobs: int = 1,
        timeout: float = 20.0,
        sandbox: Sandbox = "best-effort",
        recycle: int = 500,
        *,
        cache: caches.Cache | None = None,
        shape: protocol.Shape | None = None,
        test_only: Mapping[str, object] | None = None,
    ) -> None:
        self._device = device
        self._jobs = max(1, jobs)
        self._timeout = timeout
        self._sandbox = sandbox
        self._recycle = recycle
        self._cache = cache
        self._torch = caches.torch_version() if cache is not None else ""
        self._shape = {**_ANSWER, "result": shape} if shape is not None else _ANSWER
        self._test_only = dict(test_only or {})
        self._events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._surplus: set[int] = set()
        self._failed_starts = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self.started = 0
        self.note = ""
        self.lost: Counter[Status] = Counter()

    def __enter__(self) -> Pool:
        self._folder = tempfile.TemporaryDirectory(prefix="lint-reduction-", ignore_cleanup_errors=True)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in list(self._workers):
            self._remove(worker)
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    @property
    def notes(self) -> tuple[str, ...]:
        """What is to be known of the workers: the device if it is another one, and how many of them were replaced."""
        lost = [f"{count} {_LOST[status]}" for status, count in self.lost.items() if count]
        return (*([self.note] if self.note else []), *([f"workers were replaced: {', '.join(lost)}"] if lost else []))

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes of the workers that run."""
        return tuple(worker.process.pid for worker in self._workers)

    def run(self, experiments: Sequence[Mapping[str, object]]) -> Iterator[tuple[int, Reply]]:
        """Run experiments, and yield the place of each and what came of it, as they are done.

        Raises:
            ConfigError: no worker can start, or a strict sandbox cannot be had.
        """
        waiting: deque[_Job] = deque()
        for index, experiment in enumerate(experiments):
            job_or_reply = self._prepare(index, experiment)
            if isinstance(job_or_reply, Reply):
                yield index, job_or_reply
            else:
                waiting.append(job_or_reply)
        try:
            while waiting or any(worker.job for worker in self._workers):
                self._feed(waiting)
                done = self._wait()
                if done is not None:
                    job, reply = done
                    self._keep(job, reply)
                    self.lost[reply.status] += reply.status in _LOST
                    yield job.index, reply
        finally:
            for worker in [w for w in self._workers if w.job is not None]:
                self._remove(worker)

    def _prepare(self, index: int, experiment: Mapping[str, object]) -> _Job | Reply:
        try:
            protocol.encode(experiment)
            name = caches.key(experiment, self._device, self._torch)
        except ProtocolError as error:
            return Reply(Status.FAILED, reason=protocol.clean_text(f"the experiment cannot be sent: {error}"))
        known = self._cache.get(name) if self._cache is not None else None
        return known or _Job(index, experiment, name)

    def _keep(self, job: _Job, reply: Reply) -> None:
        if self._cache is not None:
            self._cache.put(job.key, reply)

    def _feed(self, waiting: deque[_Job]) -> None:
        """Give each worker that has nothing to do an experiment, and start workers for the rest."""
        for worker in [w for w in self._workers if w.ready and w.job is None]:
            if worker.served >= self._recycle or worker.busy >= _BUSY_SECONDS or not worker.process.alive:
                self._remove(worker)
            elif waiting:
                self._give(worker, waiting.popleft())
        starting = sum(not worker.ready for worker in self._workers)
        slots = set(range(self._jobs)) - self._surplus - {worker.slot for worker in self._workers}
        for slot in sorted(slots)[: max(0, len(waiting) - starting)]:
            self._workers.append(self._start(slot))

    def _start(self, slot: int) -> _Worker:
        if self._folder is None:
            raise RuntimeError("a pool is used in a with statement")
        device = self._device if self._failed_starts == 0 else "cpu"
        if device != self._device:
            self.note = f"a worker for the device {self._device!r} did not start, the CPU is used"
        start = {
            "device": device,
            "slot": slot,
            "cpu_seconds": int(_BUSY_SECONDS + self._timeout) + _MARGIN_SECONDS,
            **self._test_only,
        }
        self.started += 1
        process = WorkerProcess(start, self._folder.name, self._events)
        return _Worker(slot, process, time.monotonic() + _START_SECONDS)

    def _give(self, worker: _Worker, job: _Job) -> None:
        worker.job = job
        worker.served += 1
        worker.began = time.monotonic()
        worker.deadline = worker.began + self._timeout
        worker.process.send(protocol.encode({"id": job.nonce, "experiment": job.experiment}))

    def _wait(self) -> tuple[_Job, Reply] | None:
        """Wait until a worker says something or its time is over, and return what came of an experiment, if any."""
        watched = [worker for worker in self._workers if worker.job is not None or not worker.ready]
        if not watched:
            return None
        first = min(watched, key=lambda worker: worker.deadline)
        try:
            process, event = self._events.get(timeout=max(0.0, first.deadline - time.monotonic()))
        except queue.Empty:
            return self._late(first)
        worker = next((w for w in self._workers if w.process is process), None)
        if worker is None:  # of one that was killed meanwhile
            return None
        if worker.job is None:
            self._hear_start(worker, event)
            return None
        return self._hear_answer(worker, worker.job, event)

    def _late(self, worker: _Worker) -> tuple[_Job, Reply] | None:
        self._remove(worker)
        if worker.job is None:
            self._start_failed(f"it was not ready after {_START_SECONDS:g} s")
            return None
        return worker.job, self._reply(worker, Status.TIMEOUT, reason=f"it took longer than {self._timeout:g} s")

    def _hear_start(self, worker: _Worker, event: bytes | str) -> None:
        """Take in what a worker says first, or that an idle one has ended."""
        if worker.ready:
            self._remove(worker)
            return
        try:
            about = _parsed(event, _READY)
        except ProtocolError as error:
            worker.process.wait(1.0)
            self._start_failed(f"it {self._remove(worker)} {error}".rstrip())
            return
        if about.get("surplus"):
            self._surplus.add(worker.slot)
            self._remove(worker)
            return
        if not about.get("ready"):
            self._remove(worker)
            raise ConfigError(f"no experiment can be run: {about.get('reason') or 'the worker does not say why'}")
        layers = about.get("layers")
        worker.layers = {name: str(took) for name, took in layers.items()} if isinstance(layers, dict) else {}
        worker.device = str(about.get("device") or "")
        self.note = str(about.get("note") or "") or self.note
        worker.ready = True
        self._failed_starts = 0
        if self._sandbox == "strict":
            self._require_all(worker, bool(about.get("accelerated")))

    def _require_all(self, worker: _Worker, accelerated: bool) -> None:
        off = lockdown.missing(dict(worker.layers), sys.platform, accelerated)
        if off:
            self._remove(worker)
            states = ", ".join(f"{name} ({worker.layers.get(name, lockdown.OFF)})" for name in off)
            raise ConfigError(f"the strict sandbox cannot be had here: {states}")

    def _start_failed(self, reason: str) -> None:
        self._failed_starts += 1
        if self._failed_starts >= _STARTS:
            raise ConfigError(f"no experiment can be run, a worker does not start: {reason}")

    def _hear_answer(self, worker: _Worker, job: _Job, event: bytes | str) -> tuple[_Job, Reply]:
        worker.busy += time.monotonic() - worker.began
        if event == "":
            worker.process.wait(1.0)
            return job, self._reply(worker, Status.DIED, reason=f"the worker {self._remove(worker)}")
        try:
            answer = _parsed(event, self._shape)
            if answer.get("id") != job.nonce:
                raise ProtocolError("an answer to another question")
            if answer.get("status") not in _SAID:
                raise ProtocolError("an answer without a status")
            status = Status(answer["status"])
        except ProtocolError as error:
            self._remove(worker)
            return job, self._reply(worker, Status.MALFORMED, reason=protocol.clean_text(str(error), 300))
        if status is Status.TRIPPED or answer.get("spoiled"):
            self._remove(worker)
        result = answer.get("result") if status is Status.DONE else None
        reply = self._reply(worker, status, str(answer.get("reason") or ""), result)
        worker.job = None
        return job, reply

    def _reply(self, worker: _Worker, status: Status, reason: str, result: object = None) -> Reply:
        known = result if isinstance(result, dict) else {}
        return Reply(status, known, reason, worker.device, worker.layers, time.monotonic() - worker.began)

    def _remove(self, worker: _Worker) -> str:
        """Kill a worker, and return how it ended."""
        if worker in self._workers:
            self._workers.remove(worker)
        return worker.process.kill()


def _parsed(event: bytes | str, shape: protocol.Shape) -> dict[str, object]:
    if isinstance(event, str):
        raise ProtocolError(event)
    message = protocol.decode(event)
    protocol.require(message, shape)
    return message
