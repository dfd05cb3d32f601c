"""Calls of the Linux kernel that Python has no function for, through the C library."""

from __future__ import annotations

import ctypes
import functools
import os
import signal
import sys
from pathlib import Path

LINUX = sys.platform.startswith("linux")

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38


class RefusedError(Exception):
    """The kernel did not do what it was asked; the message says why."""


@functools.cache
def libc() -> ctypes.CDLL:
    """Return the C library. The first call opens it, so it has to come before the descriptors are gone."""
    return ctypes.CDLL(None, use_errno=True)


def prctl(option: int, argument: int) -> None:
    """Change a property of this thread or process.

    Raises:
        RefusedError: the kernel refuses.
    """
    if libc().prctl(option, *map(ctypes.c_ulong, (argument, 0, 0, 0))) != 0:
        raise RefusedError(os.strerror(ctypes.get_errno()))


def call(number: int, *arguments: object) -> int:
    """Make a system call by its number and return what it returns.

    Raises:
        RefusedError: it returns an error.
    """
    result = int(libc().syscall(number, *arguments))
    if result < 0:
        raise RefusedError(os.strerror(ctypes.get_errno()))
    return result


def forbid_new_privileges() -> None:
    """Let no program that this process might start have more rights than it has; Landlock and seccomp ask for it."""
    prctl(_PR_SET_NO_NEW_PRIVS, 1)


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that started it ends. A change of user undoes this."""
    prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def hide_memory() -> None:
    """Close ``/proc/self`` and this process's memory to other processes of the same user, and to itself."""
    prctl(_PR_SET_DUMPABLE, 0)


def threads() -> int:
    """Return how many threads this process has."""
    return sum(1 for _ in Path("/proc/self/task").iterdir())
