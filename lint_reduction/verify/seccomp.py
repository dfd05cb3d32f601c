"""seccomp: a filter of system calls that the Linux kernel runs before each of them, for good and for every thread."""

from __future__ import annotations

import ctypes
import errno
import os
import struct

from lint_reduction.verify import kernel, syscalls

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
#: Numbers from here on are calls of the x32 interface of x86_64.
_X32 = 0x40000000

# instructions of the classic Berkeley packet filter
_LOAD, _IF_EQUAL, _IF_AT_LEAST, _IF_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _MACHINE, _ARGUMENT = 0, 4, 16

_KILL, _ALLOW, _ERROR = 0x80000000, 0x7FFF0000, 0x00050000
_REFUSE, _UNKNOWN = _ERROR | errno.EPERM, _ERROR | 38  # ENOSYS: the C library then goes without

_SET_MODE_FILTER, _ALL_THREADS = 1, 1

_CLONE_THREAD = 0x00010000
#: Requests that push characters into a terminal, or choose whom a descriptor sends signals to.
_IOCTL_REFUSED = (0x5412, 0x541C, 0x8901, 0x8902)
_FCNTL_REFUSED = (8, 10, 15, 1026)

#: An instruction: its code, how far to jump if it holds and if it does not, and its constant.
Instruction = tuple[int, int, int, int]


def restrict(strict: bool) -> str:
    """Refuse system calls from now on, in every thread of this process.

    Args:
        strict: allow what a worker on the CPU needs and nothing else; otherwise deny what is known to do harm.

    Returns:
        Which list took.

    Raises:
        RefusedError: the kernel has no seccomp, refuses it, or is of a machine whose calls are not listed.
    """
    machine = os.uname().machine
    if machine not in _AUDIT_ARCH:
        raise kernel.RefusedError(f"no list of system calls for {machine}")
    program = only_allowed(machine, os.getpid()) if strict else all_but_denied(machine, os.getpid())
    _install(program, machine)
    return "allow-list" if strict else "deny-list"


def only_allowed(machine: str, pid: int) -> list[Instruction]:
    """Return the filter of a worker on the CPU: what is not listed is refused."""
    listed = sorted(syscalls.allowed(machine).values())
    own = syscalls.inspected(machine)["tgkill"]
    program = [*_right_machine(machine), *_when(own, _if_argument_is(0, (pid,), _ALLOW, _REFUSE))]
    for number in listed:
        program += _when(number, [_return(_ALLOW)])
    return [*program, _return(_REFUSE)]


def all_but_denied(machine: str, pid: int) -> list[Instruction]:
    """Return the filter of a worker on an accelerator: what is listed, or newer than the list, is refused."""
    inspected = syscalls.inspected(machine)
    program = [
        *_right_machine(machine),
        (_IF_AT_LEAST, 0, 1, syscalls.NEWEST + 1),
        _return(_UNKNOWN),
        *_when(inspected["clone3"], [_return(_UNKNOWN)]),
        *_when(inspected["clone"], _if_argument_has(0, _CLONE_THREAD, _ALLOW, _REFUSE)),
        *_when(inspected["tgkill"], _if_argument_is(0, (pid,), _ALLOW, _REFUSE)),
        *_when(inspected["ioctl"], _if_argument_is(1, _IOCTL_REFUSED, _REFUSE, _ALLOW)),
        *_when(inspected["fcntl"], _if_argument_is(1, _FCNTL_REFUSED, _REFUSE, _ALLOW)),
    ]
    for number in sorted(syscalls.denied(machine).values()):
        program += _when(number, [_return(_REFUSE)])
    return [*program, _return(_ALLOW)]


def _right_machine(machine: str) -> list[Instruction]:
    """Kill a process that calls as another machine would, with other numbers; then load the number."""
    begin = [(_LOAD, 0, 0, _MACHINE), (_IF_EQUAL, 1, 0, _AUDIT_ARCH[machine]), _return(_KILL), (_LOAD, 0, 0, _NUMBER)]
    if machine == "x86_64":
        begin += [(_IF_AT_LEAST, 0, 1, _X32), _return(_KILL)]
    return begin


def _return(action: int) -> Instruction:
    return _RETURN, 0, 0, action


def _when(number: int, body: list[Instruction]) -> list[Instruction]:
    """Do something for one call; it has to end with a return, as the number is not loaded again."""
    return [(_IF_EQUAL, 0, len(body), number), *body]


def _if_argument_is(position: int, values: tuple[int, ...], then: int, otherwise: int) -> list[Instruction]:
    """Look at the lower half of an argument, which is where an ``int`` is."""
    tests = [step for value in values for step in ((_IF_EQUAL, 0, 1, value), _return(then))]
    return [(_LOAD, 0, 0, _ARGUMENT + 8 * position), *tests, _return(otherwise)]


def _if_argument_has(position: int, bits: int, then: int, otherwise: int) -> list[Instruction]:
    return [(_LOAD, 0, 0, _ARGUMENT + 8 * position), (_IF_BITS, 0, 1, bits), _return(then), _return(otherwise)]


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


def _install(program: list[Instruction], machine: str) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    header = _Program(len(program), ctypes.addressof(code))
    kernel.forbid_new_privileges()
    seccomp = syscalls.denied(machine)["seccomp"]
    failed = kernel.call(seccomp, ctypes.c_uint(_SET_MODE_FILTER), ctypes.c_uint(_ALL_THREADS), ctypes.byref(header))
    if failed:
        raise kernel.RefusedError(f"thread {failed} has a filter of its own")
