"""One worker process as the parent sees it: started, written to and read from by a thread, killed with its group."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import site
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from lint_reduction.verify import environment, protocol

_START = Path(__file__).with_name("start.py")

#: What the thread of a worker tells: a frame that came, or why none will come any more.
Event = tuple["WorkerProcess", bytes | str]


class WorkerProcess:
    """A process that answers one frame with one frame.

    A thread writes and reads, so that neither a worker that does not read nor one that does not write can hold up the
    parent, on any platform: whoever waits does so on the queue of events, with a timeout. The process leads a group of
    its own, which is killed as a whole; on Windows there are no such groups, and the process alone is killed.
    """

    def __init__(self, start: Mapping[str, object], folder: str, events: queue.SimpleQueue[Event]) -> None:
        self._events = events
        self._outbox: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-B", "-W", "ignore", str(_START), json.dumps(start), *_user_packages()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            cwd=folder,
            env=environment.variables(),
            close_fds=True,
            start_new_session=os.name == "posix",
        )
        threading.Thread(target=self._talk, name=f"worker {self._process.pid}", daemon=True).start()

    @property
    def pid(self) -> int:
        """The number of the process."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def send(self, frame: bytes) -> None:
        """Send a frame; what comes of it is an event."""
        self._outbox.put(frame)

    def kill(self) -> str:
        """End the process and what it may have started, and return how it ended."""
        self._outbox.put(None)
        before = self._process.poll()
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if os.name == "posix":
                os.killpg(self._process.pid, signal.SIGKILL)
            else:
                self._process.kill()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        return _ending(before)

    def wait(self, seconds: float) -> None:
        """Give the process time to end by itself."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(seconds)

    def _talk(self) -> None:
        """Pass on what the worker says first, and then an answer for each frame that is sent."""
        incoming, outgoing = self._process.stdout, self._process.stdin
        assert incoming is not None
        assert outgoing is not None
        with incoming, outgoing:
            try:
                self._pass_on(protocol.read_frame(incoming.read))
                while (frame := self._outbox.get()) is not None:
                    while frame:
                        frame = frame[outgoing.write(frame) or 0 :]
                    self._pass_on(protocol.read_frame(incoming.read))
            except protocol.ProtocolError as error:
                self._events.put((self, str(error)))
            except (OSError, EOFError):
                self._events.put((self, ""))

    def _pass_on(self, frame: bytes | None) -> None:
        if frame is None:
            raise EOFError
        self._events.put((self, frame))


def _user_packages() -> list[str]:
    """Return where pip installs for one user, which an isolated Python leaves out."""
    return [site.getusersitepackages()] if site.ENABLE_USER_SITE else []


def _ending(code: int | None) -> str:
    if code is None:
        return "was killed"
    if code >= 0:
        return f"ended with status {code}"
    try:
        return f"died of {signal.Signals(-code).name}"
    except ValueError:
        return f"died of signal {-code}"
