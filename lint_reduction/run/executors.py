"""Processes that analyze files: this one, or several workers that take one file after the other, the longest first.

A worker is told the number of a file and answers with plain data, so that nothing depends on who took what. One that
dies takes only its file with it, which is reported. Workers are forked where that is safe; where threads run, or
nothing can be forked, each is an interpreter of its own.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import queue
import signal
import struct
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import BinaryIO, cast

from lint_reduction.errors import SourceError
from lint_reduction.run.keeping import Read
from lint_reduction.run.pipeline import (
    Contexts,
    Overrides,
    lint_bytes,
    lint_candidate,
    may_hold,
    shown_as,
    with_large_stack,
)
from lint_reduction.run.report import FileResult
from lint_reduction.source.discover import Candidate
from lint_reduction.source.file import read_bytes
from lint_reduction.source.notebook import is_notebook
from lint_reduction.source.tracing import Trace, tracing

#: Bytes of source to analyze from which on a second process pays off. It costs about 0.1 s, and a fifth to two fifths
#: of the work again, as modules that files share are parsed in each process: below this that is most of the gain.
_THRESHOLD = 2_000_000
_MAX_JOBS = 2
_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a file that was linted.

    Attributes:
        result: of its rules.
        read: the file as it was read, None where it could not be.
        trace: what was consulted for it.
        is_whole: whether all rules ran that were to.
    """

    result: FileResult
    read: Read | None = None
    trace: Trace = field(default_factory=Trace)
    is_whole: bool = True


@dataclass(frozen=True, slots=True)
class Task:
    """A file that is to be linted.

    Attributes:
        candidate: the file.
        data: its content, None where it could not be read, or was not.
        about: what it was just before that, None if nothing is to be kept of it.
        holds: what ``may_hold`` says of it, None if nobody asked.
    """

    candidate: Candidate
    data: bytes | None = None
    about: os.stat_result | None = None
    holds: bool | None = None

    @property
    def size(self) -> int:
        """The size of what is to be linted."""
        return len(self.data or b"")


def load(candidate: Candidate, contexts: Contexts) -> Task:
    """Read a file, and find out whether it is to be analyzed; of a notebook that is known when its cells are."""
    absolute = os.path.abspath(candidate.path)  # noqa: PTH100  # resolve() would follow symbolic links
    task = _read(candidate, absolute, contexts)
    if task.data is None or is_notebook(absolute):
        return task
    return replace(task, holds=may_hold(task.data, contexts.of(Path(absolute).parent)))


def _read(candidate: Candidate, absolute: str, contexts: Contexts) -> Task:
    try:
        if candidate.problem:
            return Task(candidate)
        about = os.stat(absolute) if contexts.keeps_all else None  # noqa: PTH116
        return Task(candidate, read_bytes(candidate.path), about)
    except (SourceError, OSError, ValueError):
        return Task(candidate)


def lint_one(task: Task, contexts: Contexts, here: Path) -> Outcome:
    """Lint one file, and note what was consulted for it if that is to be kept."""
    candidate, data = task.candidate, task.data
    absolute = os.path.abspath(candidate.path)  # noqa: PTH100
    if data is None:
        return Outcome(lint_candidate(candidate, contexts, here))
    shown, context = shown_as(absolute, here), contexts.of(Path(absolute).parent)
    lint = partial(lint_bytes, data, shown, absolute, context, named=candidate.named, holds=task.holds)
    if task.about is None:
        return Outcome(lint())
    with tracing() as trace:
        result = lint()
    return Outcome(result, Read.of(task.about, data), trace, shown not in context.partial)


def processes(wanted: int | None, sizes: Sequence[int]) -> int:
    """Return how many processes to use for files of some sizes, at most as many as are wanted."""
    if wanted is None:
        wanted = min(_MAX_JOBS, _cores()) if sum(sizes) >= _THRESHOLD else 1
    return max(1, min(wanted, len(sizes)))


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def outcomes(
    tasks: Sequence[Task],
    jobs: int,
    contexts: Contexts,
    progress: Callable[[Sequence[Task]], Iterable[Task]],
) -> list[Outcome]:
    """Lint files, and return what became of each, in their order.

    Args:
        tasks: the files.
        jobs: how many processes to use; 1 is this one.
        contexts: of the files.
        progress: shows how far it is.
    """
    here = Path.cwd()
    if jobs <= 1:
        return with_large_stack(lambda: [lint_one(one, contexts, here) for one in progress(tasks)])
    order = sorted(range(len(tasks)), key=lambda index: -tasks[index].size)
    found: dict[int, Outcome] = {}
    crew = _Crew(contexts, here, tasks, order, jobs)
    done = crew.run()
    for _ in progress(tasks):
        index, outcome = next(done)
        found[index] = outcome
    done.close()
    return [found[index] for index in range(len(tasks))]


@dataclass(slots=True)
class _Worker:
    """A process, and the ends of the pipes to it."""

    pid: int
    tasks: BinaryIO
    answers: BinaryIO
    process: subprocess.Popen[bytes] | None = None

    def ask(self, task: int) -> Outcome | None:
        """Have a file linted; None if the process does not live to say what became of it."""
        try:
            _send(self.tasks, task)
            answer = _receive(self.answers)
        except (OSError, EOFError, pickle.UnpicklingError):
            return None
        return answer if isinstance(answer, Outcome) else None

    def end(self) -> str:
        """Close the pipes, wait, and return how the process ended."""
        for pipe in (self.tasks, self.answers):
            with contextlib.suppress(OSError):
                pipe.close()
        if self.process is not None:
            code = self.process.wait()
        else:
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"

    def kill(self) -> None:
        """End the process at once."""
        with contextlib.suppress(OSError):
            os.kill(self.pid, signal.SIGTERM)


class _Crew:
    """Some workers and their tasks."""

    def __init__(self, contexts: Contexts, here: Path, files: Sequence[Task], order: Sequence[int], jobs: int) -> None:
        self._contexts = contexts
        self._here = here
        self._files = files
        self._tasks: queue.SimpleQueue[int] = queue.SimpleQueue()
        for index in order:
            self._tasks.put(index)
        self._answers: queue.SimpleQueue[tuple[int, Outcome] | BaseException] = queue.SimpleQueue()
        self._workers: list[_Worker] = []
        self._jobs = jobs
        self._over = False

    def run(self) -> Generator[tuple[int, Outcome], None, None]:
        """Yield the number of each file and what became of it, as they are done."""
        forks = hasattr(os, "fork") and sys.platform != "darwin" and threading.active_count() == 1
        for _ in range(self._jobs):
            self._workers.append(self._forked() if forks else self._spawned())
        threads = [threading.Thread(target=self._serve, args=(worker,), daemon=True) for worker in self._workers]
        for thread in threads:
            thread.start()
        try:
            for _ in self._files:
                answer = self._answers.get()
                if isinstance(answer, BaseException):
                    raise answer
                yield answer
        finally:
            self._over = True
            for worker in self._workers if not self._tasks.empty() else ():
                worker.kill()
            for thread in threads:
                thread.join()

    def _serve(self, worker: _Worker) -> None:
        """Give a worker one task after the other, and replace it if it dies."""
        try:
            while not self._over:
                try:
                    task = self._tasks.get_nowait()
                except queue.Empty:
                    break
                outcome = worker.ask(task)
                if outcome is None:
                    outcome = self._died(task, worker.end())
                    worker = self._spawned()
                    self._workers.append(worker)
                self._answers.put((task, outcome))
            worker.end()
        except BaseException as error:
            self._answers.put(error)

    def _died(self, task: int, how: str) -> Outcome:
        absolute = os.path.abspath(self._files[task].candidate.path)  # noqa: PTH100
        shown = shown_as(absolute, self._here)
        return Outcome(FileResult(shown, absolute, crash=f"internal error in {shown}:\nits process ended with {how}\n"))

    def _forked(self) -> _Worker:
        tasks_in, tasks_out = os.pipe()
        answers_in, answers_out = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                for other in self._workers:
                    # what is left open here would keep the others from seeing the end
                    os.close(other.tasks.fileno())
                    os.close(other.answers.fileno())
                os.close(tasks_out)
                os.close(answers_in)
                signal.signal(signal.SIGINT, signal.SIG_DFL)
                with os.fdopen(tasks_in, "rb") as tasks, os.fdopen(answers_out, "wb") as answers:
                    _work(tasks, answers, self._contexts, self._here, self._files)
            finally:
                os._exit(0)
        os.close(tasks_in)
        os.close(answers_out)
        return _Worker(pid, os.fdopen(tasks_out, "wb"), os.fdopen(answers_in, "rb"))

    def _spawned(self) -> _Worker:
        # its path is set before anything is imported: the current directory may have a module of any name
        code = f"import sys; sys.path[:] = {sys.path!r}; from lint_reduction.run.executors import serve; serve()"
        process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        worker = _Worker(process.pid, process.stdin, process.stdout, process)  # type: ignore[arg-type]  # pipes
        keeps_all = self._contexts.keeps_all
        candidates = tuple(file.candidate for file in self._files)  # what is in them it reads itself
        with contextlib.suppress(OSError):  # if it died already, the first task will tell
            _send(worker.tasks, (self._contexts.overrides, keeps_all, self._here, candidates))
        return worker


def serve() -> None:
    """Be a worker that was not forked."""
    gc.disable()
    tasks, answers = sys.stdin.buffer, sys.stdout.buffer
    # whatever prints must not print into the answers
    sys.stdout = sys.stderr
    setup = cast("tuple[Overrides, bool, Path, Sequence[Candidate]]", _receive(tasks))
    overrides, keeps_all, here, candidates = setup
    _work(tasks, answers, Contexts(overrides, keeps_all=keeps_all), here, [Task(one) for one in candidates])


def _work(tasks: BinaryIO, answers: BinaryIO, contexts: Contexts, here: Path, files: Sequence[Task]) -> None:
    def work() -> None:
        while True:
            try:
                task = _receive(tasks)
            except EOFError:
                return
            assert isinstance(task, int)
            try:
                file = files[task]
                outcome = lint_one(load(file.candidate, contexts) if file.data is None else file, contexts, here)
            except Exception:  # as a crash of this file, and not of all that are left
                absolute = os.path.abspath(files[task].candidate.path)  # noqa: PTH100
                shown = shown_as(absolute, here)
                outcome = Outcome(
                    FileResult(shown, absolute, crash=f"internal error in {shown}:\n{traceback.format_exc()}")
                )
            _send(answers, outcome)

    with contextlib.suppress(OSError):  # nobody waits for the answer any more
        with_large_stack(work)


def _send(pipe: BinaryIO, message: object) -> None:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    pipe.write(_LENGTH.pack(len(data)) + data)
    pipe.flush()


def _receive(pipe: BinaryIO) -> object:
    """Read a message of this program; nobody else has the other end.

    Raises:
        EOFError: there is none.
    """
    header = pipe.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        raise EOFError
    (length,) = _LENGTH.unpack(header)
    data = pipe.read(length)
    if len(data) < length:
        raise EOFError
    return pickle.loads(data)
