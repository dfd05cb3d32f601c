"""Numbers of the system calls that a locked worker may make, or must not, for x86_64 and aarch64.

A number is written twice: as x86_64 has it and as aarch64 has it, ``-`` where there is no such call.
"""

from __future__ import annotations

#: What a worker on the CPU needs after its warm-up. All else is refused: no name of a file, no new descriptor, process
#: or thread, no identity and no signal to another process is among them.
_ALLOWED = {
    "protocol": """
        read 0 63, readv 19 65, write 1 64, writev 20 66, close 3 57, lseek 8 62, fstat 5 80, poll 7 -, ppoll 271 73,
        select 23 -, pselect6 270 72
    """,
    "memory": """
        brk 12 214, mmap 9 222, mprotect 10 226, munmap 11 215, mremap 25 216, madvise 28 233, get_mempolicy 239 236,
        membarrier 324 283
    """,
    "threads": """
        futex 202 98, futex_waitv 449 449, rseq 334 293, set_robust_list 273 99, sched_yield 24 124,
        sched_getaffinity 204 123, getcpu 309 168
    """,
    "signals": """
        rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139, sigaltstack 131 132, restart_syscall 219 128
    """,
    "identity": """
        getpid 39 172, gettid 186 178, getuid 102 174, geteuid 107 175, getgid 104 176, getegid 108 177, uname 63 160,
        sysinfo 99 179, getrusage 98 165
    """,
    "time": """
        clock_gettime 228 113, clock_getres 229 114, clock_nanosleep 230 115, nanosleep 35 101, gettimeofday 96 169,
        time 201 -, getrandom 318 278
    """,
    "end": """
        exit 60 93, exit_group 231 94
    """,
}

#: What a worker on an accelerator must not do, whose driver opens files, maps memory and starts threads when it likes.
_DENIED = {
    "sockets": """
        socket 41 198, socketpair 53 199, connect 42 203, bind 49 200, listen 50 201, accept 43 202, accept4 288 242,
        shutdown 48 210, getsockname 51 204, getpeername 52 205, setsockopt 54 208, getsockopt 55 209, sendto 44 206,
        recvfrom 45 207, sendmsg 46 211, recvmsg 47 212, sendmmsg 307 269, recvmmsg 299 243
    """,
    "processes": """
        fork 57 -, vfork 58 -, execve 59 221, execveat 322 281, ptrace 101 117, kcmp 312 272,
        process_vm_readv 310 270, process_vm_writev 311 271, process_madvise 440 440, process_mrelease 448 448,
        unshare 272 97, setns 308 268
    """,
    "signals": """
        kill 62 129, tkill 200 130, rt_sigqueueinfo 129 138, rt_tgsigqueueinfo 297 240, pidfd_open 434 434,
        pidfd_getfd 438 438, pidfd_send_signal 424 424
    """,
    "identity": """
        setuid 105 146, setgid 106 144, setreuid 113 145, setregid 114 143, setresuid 117 147, setresgid 119 149,
        setgroups 116 159, setfsuid 122 151, setfsgid 123 152, capset 126 91, setpgid 109 154, setsid 112 157,
        personality 135 92, setrlimit 160 164, prlimit64 302 261, setpriority 141 140, ioprio_set 251 30,
        sched_setparam 142 118, sched_setscheduler 144 119, sched_setattr 314 274
    """,
    "files": """
        rename 82 -, renameat 264 38, renameat2 316 276, unlink 87 -, unlinkat 263 35, rmdir 84 -, mkdir 83 -,
        mkdirat 258 34, mknod 133 -, mknodat 259 33, link 86 -, linkat 265 37, symlink 88 -, symlinkat 266 36,
        chmod 90 -, fchmod 91 52, fchmodat 268 53, chown 92 -, fchown 93 55, lchown 94 -, fchownat 260 54,
        truncate 76 45, utime 132 -, utimes 235 -, utimensat 280 88, futimesat 261 -, setxattr 188 5, lsetxattr 189 6,
        fsetxattr 190 7, removexattr 197 14, lremovexattr 198 15, fremovexattr 199 16, chdir 80 49, fchdir 81 50,
        chroot 161 51, name_to_handle_at 303 264, open_by_handle_at 304 265, inotify_init 253 -, inotify_init1 294 26,
        inotify_add_watch 254 27, fanotify_init 300 262, fanotify_mark 301 263
    """,
    "mounts": """
        mount 165 40, umount2 166 39, pivot_root 155 41, move_mount 429 429, open_tree 428 428, mount_setattr 442 442,
        fsopen 430 430, fsconfig 431 431, fsmount 432 432, fspick 433 433
    """,
    "ipc": """
        mq_open 240 180, mq_unlink 241 181, shmget 29 194, shmat 30 196, shmctl 31 195, msgget 68 186, msgsnd 69 189,
        msgrcv 70 188, msgctl 71 187, semget 64 190, semop 65 193, semctl 66 191, memfd_secret 447 447
    """,
    "kernel": """
        bpf 321 280, perf_event_open 298 241, userfaultfd 323 282, io_uring_setup 425 425, io_uring_enter 426 426,
        io_uring_register 427 427, add_key 248 217, request_key 249 218, keyctl 250 219, init_module 175 105,
        finit_module 313 273, delete_module 176 106, kexec_load 246 104, kexec_file_load 320 294, reboot 169 142,
        swapon 167 224, swapoff 168 225, acct 163 89, quotactl 179 60, quotactl_fd 443 443, sethostname 170 161,
        setdomainname 171 162, settimeofday 164 170, clock_settime 227 112, clock_adjtime 305 266, adjtimex 159 171,
        syslog 103 116, nfsservctl 180 42, vhangup 153 58, iopl 172 -, ioperm 173 -, modify_ldt 154 -,
        lookup_dcookie 212 18, migrate_pages 256 238, move_pages 279 239, landlock_create_ruleset 444 444,
        seccomp 317 277
    """,
}

#: Calls that are looked into: by their name, for what ``seccomp`` asks of their arguments.
_INSPECTED = """
    clone 56 220, clone3 435 435, tgkill 234 131, ioctl 16 29, fcntl 72 25
"""

#: The last call that the lists above were written for; newer ones are as if the kernel did not have them.
NEWEST = 450

_COLUMN = {"x86_64": 1, "aarch64": 2}


def numbers(block: str, machine: str) -> dict[str, int]:
    """Return the numbers of a block of calls on a machine, by name."""
    rows = [entry.split() for entry in block.split(",")]
    return {row[0]: int(row[_COLUMN[machine]]) for row in rows if row[_COLUMN[machine]] != "-"}


def allowed(machine: str) -> dict[str, int]:
    """Return the calls that a worker on the CPU may make."""
    return _merged(_ALLOWED, machine)


def denied(machine: str) -> dict[str, int]:
    """Return the calls that a worker on an accelerator may not make."""
    return _merged(_DENIED, machine)


def inspected(machine: str) -> dict[str, int]:
    """Return the calls whose arguments decide."""
    return numbers(_INSPECTED, machine)


def _merged(blocks: dict[str, str], machine: str) -> dict[str, int]:
    return {name: number for block in blocks.values() for name, number in numbers(block, machine).items()}
