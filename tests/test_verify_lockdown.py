"""The filter of system calls, run by an interpreter of its own on both machines, and the lists against the kernel's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lint_reduction.verify import lockdown, seccomp, syscalls

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
PID = 4242


def decide(program: list[seccomp.Instruction], machine: int, number: int, *arguments: int) -> int:
    """Run a filter, as the kernel does, and return what it says."""
    data = {0: number, 4: machine, **{16 + 8 * place: value for place, value in enumerate((*arguments, 0, 0)[:6])}}
    loaded, counter = 0, 0
    while True:
        code, then, otherwise, value = program[counter]
        counter += 1
        if code == 0x20:
            loaded = data[value]
        elif code == 0x06:
            return value
        else:
            holds = {0x15: loaded == value, 0x35: loaded >= value, 0x45: bool(loaded & value)}[code]
            counter += then if holds else otherwise


@pytest.mark.parametrize("machine", MACHINES)
def test_on_the_cpu_what_is_not_listed_is_refused(machine: str) -> None:
    program = seccomp.only_allowed(machine, PID)
    listed = set(syscalls.allowed(machine).values())
    tgkill = syscalls.inspected(machine)["tgkill"]
    for number in range(1000):
        if number != tgkill:
            assert decide(program, MACHINES[machine], number) == (ALLOW if number in listed else EPERM), number
    assert decide(program, MACHINES[machine], tgkill, PID) == ALLOW
    assert decide(program, MACHINES[machine], tgkill, 1) == EPERM


@pytest.mark.parametrize("machine", MACHINES)
def test_on_an_accelerator_what_is_listed_is_refused(machine: str) -> None:
    program = seccomp.all_but_denied(machine, PID)
    listed, special = set(syscalls.denied(machine).values()), syscalls.inspected(machine)
    for number in set(range(1000)) - set(special.values()):
        expected = ENOSYS if number > syscalls.NEWEST else EPERM if number in listed else ALLOW
        assert decide(program, MACHINES[machine], number) == expected, number
    cases = [
        ("clone3", (), ENOSYS),
        ("clone", (0x00010F00,), ALLOW),
        ("clone", (17,), EPERM),
        ("tgkill", (PID,), ALLOW),
        ("tgkill", (PID + 1,), EPERM),
        ("ioctl", (5, 0x5412), EPERM),
        ("ioctl", (5, 0xC0184600), ALLOW),
        ("fcntl", (5, 8), EPERM),
        ("fcntl", (5, 1), ALLOW),
    ]
    for name, arguments, expected in cases:
        assert decide(program, MACHINES[machine], special[name], *arguments) == expected, (name, arguments)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("build", [seccomp.only_allowed, seccomp.all_but_denied])
def test_the_calls_of_another_machine_kill(machine: str, build: object) -> None:
    assert callable(build)
    program = build(machine, PID)
    for other in (0x40000003, 0x40000028, *set(MACHINES.values()) - {MACHINES[machine]}):
        assert decide(program, other, 0) == KILL
    if machine == "x86_64":
        assert decide(program, MACHINES[machine], 0x40000000) == KILL
    assert len(program) < 4096
    assert all(0 <= jump < 256 for _, then, otherwise, _ in program for jump in (then, otherwise))


#: Nothing that opens, starts, signals or changes anything is among what a worker on the CPU may do.
NEVER = set(
    """
    open openat openat2 creat execve execveat fork vfork clone clone3 socket connect kill tkill ptrace stat lstat
    newfstatat statx access faccessat readlink readlinkat getdents64 mount ioctl fcntl prctl seccomp dup dup2 dup3 pipe
    pipe2 memfd_create eventfd2 epoll_create1 timerfd_create signalfd4 prlimit64 setrlimit setuid io_uring_setup bpf
    """.split()
)


@pytest.mark.parametrize("machine", MACHINES)
def test_what_is_dangerous_is_not_listed(machine: str) -> None:
    assert not NEVER & set(syscalls.allowed(machine))
    assert not set(syscalls.allowed(machine)) & set(syscalls.denied(machine))
    assert not set(syscalls.inspected(machine)) & {*syscalls.allowed(machine), *syscalls.denied(machine)}


HEADERS = {
    "x86_64": Path("/usr/include/x86_64-linux-gnu/asm/unistd_64.h"),
    "aarch64": Path("/usr/include/asm-generic/unistd.h"),
}


@pytest.mark.parametrize("machine", MACHINES)
def test_the_numbers_are_those_of_the_kernel(machine: str) -> None:
    if not HEADERS[machine].exists():
        pytest.skip("the headers of the kernel are not installed")
    text = HEADERS[machine].read_text()
    found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)
    numbers = {name: int(number) for name, number in found}
    listed = {**syscalls.allowed(machine), **syscalls.denied(machine), **syscalls.inspected(machine)}
    assert {name: numbers.get(name) for name in listed} == listed


def test_a_layer_that_fails_says_why_and_the_others_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process nothing is locked: every layer is made to fail, or is one that locks nothing."""

    def failing(*_: object, **__: object) -> str:
        raise OSError(38, "not implemented")

    for name in ("_become_nobody", "_limit", "_lock_files", "_sandbox_of_macos", "_no_descriptors", "_filter_calls"):
        monkeypatch.setattr(lockdown, name, failing)
    monkeypatch.setattr(lockdown, "_listen", lambda alarm: "")
    report = lockdown.lock(False, lockdown.Limits(), lockdown.Alarm())
    assert tuple(report) == lockdown.LAYERS
    assert report.pop("audit") == "on"
    assert set(report.values()) == {"off: [Errno 38] not implemented"}
