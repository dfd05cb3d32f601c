"""Landlock: the Linux kernel's own lock on files, TCP ports, abstract sockets and signals; no privilege is needed."""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from lint_reduction.verify import kernel

# the numbers are the same on every machine
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_RULE_PATH_BENEATH = 1
_CREATE_VERSION = 1

_WRITE_FILE, _READ_FILE, _READ_DIR, _IOCTL_DEVICE = 1 << 1, 1 << 2, 1 << 3, 1 << 15
#: All rights to files by the version of Landlock that first knew them.
_FILES = {1: (1 << 13) - 1, 2: 1 << 13, 3: 1 << 14, 5: _IOCTL_DEVICE}
_TCP_BIND_CONNECT = 3
_ABSTRACT_SOCKETS_SIGNALS = 3


def restrict(readable: Iterable[str] = (), devices: Iterable[str] = ()) -> str:
    """Take every right to files from this thread, and what else this kernel's Landlock knows, for good.

    Args:
        readable: files and directories that may still be read.
        devices: device files that may still be read, written and controlled.

    Returns:
        What took: the version of Landlock, and whether other threads keep their rights.

    Raises:
        RefusedError: there is no Landlock, or it refuses.
    """
    version = kernel.call(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_CREATE_VERSION))
    attributes = _attributes(version)
    rules = kernel.call(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))
    try:
        for path in readable:
            _allow(rules, path, _READ_FILE | _READ_DIR)
        for path in devices:
            _allow(rules, path, _READ_FILE | _WRITE_FILE | (_IOCTL_DEVICE if version >= 5 else 0))
        kernel.forbid_new_privileges()
        others = kernel.threads() - 1
        kernel.call(_RESTRICT_SELF, ctypes.c_int(rules), ctypes.c_uint32(0))
    finally:
        os.close(rules)
    return f"version {version}" + (f", not for {others} threads of the driver" if others else "")


def _attributes(version: int) -> bytes:
    """Return the rights to take away, as many of them as this version knows."""
    files = sum(rights for since, rights in _FILES.items() if since <= version)
    fields = [files]
    if version >= 4:
        fields.append(_TCP_BIND_CONNECT)
    if version >= 6:
        fields.append(_ABSTRACT_SOCKETS_SIGNALS)
    return struct.pack(f"={len(fields)}Q", *fields)


def _allow(rules: int, path: str, rights: int) -> None:
    with contextlib.suppress(OSError, kernel.RefusedError):  # what is not there needs no rule
        if not Path(path).is_dir():
            rights &= ~_READ_DIR
        beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = struct.pack("=Qi", rights, beneath)
            kernel.call(_ADD_RULE, ctypes.c_int(rules), ctypes.c_int(_RULE_PATH_BENEATH), rule, ctypes.c_uint32(0))
        finally:
            os.close(beneath)
