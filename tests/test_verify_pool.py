"""The parent's side of the verifier: workers are fed, watched, replaced, and never believed; torch is not imported."""

from __future__ import annotations

import gc
import json
import os
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from lint_reduction.errors import ConfigError
from lint_reduction.verify import cache as caches
from lint_reduction.verify import environment, lockdown
from lint_reduction.verify import pool as pools
from lint_reduction.verify import process as processes
from lint_reduction.verify.cache import Cache
from lint_reduction.verify.pool import Pool
from lint_reduction.verify.protocol import ProtocolError, Reply, Status
from tests.command import ROOT
from tests.workers import BARE, UNALARMED


def test_experiments_are_answered_by_one_worker() -> None:
    with Pool("cpu", test_only=BARE) as pool:
        replies = dict(pool.run([{"n": n} for n in range(20)]))
        again = dict(pool.run([{"n": 99}]))
        assert pool.started == 1
    assert [replies[n].result["got"] for n in range(20)] == [{"n": n} for n in range(20)]
    assert again[0].status is Status.DONE
    assert len({reply.result["pid"] for reply in [*replies.values(), *again.values()]}) == 1


def test_nothing_is_started_for_nothing() -> None:
    with Pool("cpu", test_only=BARE) as pool:
        assert list(pool.run([])) == []
        assert pool.started == 0


def test_two_workers_share_the_work_and_answer_as_they_are_done() -> None:
    with Pool("cpu", jobs=2, test_only=BARE) as pool:
        list(pool.run([{"sleep": 0.5}, {"sleep": 0.5}]))  # both are up
        began = time.monotonic()
        order = [index for index, _ in pool.run([{"sleep": 1.0}, {"sleep": 0.1}, {"sleep": 0.1}, {"sleep": 0.1}])]
        took = time.monotonic() - began
        assert pool.started == 2
    assert order == [1, 2, 3, 0]
    assert took < 1.3


def test_no_more_workers_are_started_than_there_is_work() -> None:
    with Pool("cpu", jobs=4, test_only=BARE) as pool:
        list(pool.run([{"n": 1}]))
        assert pool.started == 1


def test_an_experiment_that_takes_too_long_is_given_up() -> None:
    with Pool("cpu", timeout=0.5, test_only=BARE) as pool:
        replies = dict(pool.run([{"sleep": 60}, {"n": 1}]))
        assert pool.started == 2
        assert pool.notes == ("workers were replaced: 1 took too long",)
    assert replies[0] == Reply(
        Status.TIMEOUT, reason="it took longer than 0.5 s", layers=replies[0].layers, seconds=replies[0].seconds
    )
    assert 0.5 <= replies[0].seconds < 5
    assert replies[1].status is Status.DONE


def test_a_worker_that_dies_is_replaced() -> None:
    with Pool("cpu", test_only=UNALARMED) as pool:
        replies = dict(pool.run([{"n": 1}, {"code": "import os; os._exit(3)"}, {"n": 2}]))
        assert pool.started == 2
    assert replies[1].status is Status.DIED
    assert "status 3" in replies[1].reason
    assert replies[2].status is Status.DONE


def test_an_idle_worker_that_died_costs_no_experiment() -> None:
    with Pool("cpu", test_only=BARE) as pool:
        [(_, first)] = pool.run([{"n": 1}])
        os.kill(int(str(first.result["pid"])), 9)
        time.sleep(0.2)
        [(_, second)] = pool.run([{"n": 2}])
    assert second.status is Status.DONE


def test_a_worker_is_replaced_after_so_many_experiments() -> None:
    with Pool("cpu", recycle=3, test_only=BARE) as pool:
        replies = [reply for _, reply in pool.run([{"n": n} for n in range(7)])]
        assert pool.started == 3
    pids = [reply.result["pid"] for reply in replies]
    assert [pids.count(pid) for pid in dict.fromkeys(pids)] == [3, 3, 1]


def test_an_exception_is_a_reason_and_no_end() -> None:
    with Pool("cpu", test_only=UNALARMED) as pool:
        replies = dict(
            pool.run([{"code": "raise ValueError('a\\x1b[0m\\nb')"}, {"code": "1 / 0"}, {"code": "out = 1"}])
        )
        assert pool.started == 1
    assert [replies[n].status for n in range(3)] == [Status.FAILED, Status.FAILED, Status.DONE]
    assert replies[0].reason == "ValueError: a\\x1b[0m\\x0ab"


def test_what_cannot_be_sent_fails_and_the_rest_is_run() -> None:
    with Pool("cpu", test_only=BARE) as pool:
        replies = dict(pool.run([{"x": float("nan")}, {"x": "x" * (1 << 21)}, {"x": object()}, {"x": 1}]))
    assert [replies[n].status for n in range(4)] == [Status.FAILED] * 3 + [Status.DONE]


def test_a_result_that_is_no_json_fails() -> None:
    codes = [
        "out = 1",
        "import builtins; builtins.repr = lambda value: type('S', (), {'__getitem__': lambda *a: 1e999})()",
    ]
    with Pool("cpu", test_only=UNALARMED) as pool:
        replies = dict(pool.run([{"code": code} for code in codes]))
    assert replies[1].status is Status.FAILED
    assert "not JSON" in replies[1].reason


def test_a_result_of_another_shape_is_refused() -> None:
    with Pool("cpu", test_only=BARE, shape={"pid": int, "got": {"n": int}}) as pool:
        replies = dict(pool.run([{"n": 1}, {"other": 1}, {"n": "x"}]))
    assert replies[0].status is Status.DONE
    assert replies[1].reason == "reply.result.got has an unknown key 'other'"
    assert replies[2].reason == "reply.result.got.n is a str"


def test_leaving_early_leaves_nothing_behind() -> None:
    with Pool("cpu", jobs=2, test_only=BARE) as pool:
        running = pool.run([{"n": 1}, {"sleep": 60}, {"sleep": 60}])
        _, reply = next(running)
        running.close()
        folder = pool._folder
        processes = [worker.process for worker in pool._workers]
    assert not Path(f"/proc/{reply.result['pid']}").exists() or sys.platform != "linux"
    assert not any(process.alive for process in processes)
    assert folder is not None
    assert not Path(folder.name).exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_worker_ends_with_its_parent() -> None:
    program = (
        "import os\nfrom lint_reduction.verify.pool import Pool\n"
        f"with Pool('cpu', test_only={BARE!r}) as pool:\n"
        "    [(_, reply)] = pool.run([{'n': 1}])\n"
        "    print(reply.result['pid'], flush=True)\n"
        "    list(pool.run([{'sleep': 60}]))\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    with parent:
        pid = int(parent.stdout.readline())
        time.sleep(0.3)
        parent.kill()
    end = time.monotonic() + 5
    while Path(f"/proc/{pid}/stat").exists() and time.monotonic() < end:
        if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
            break
        time.sleep(0.05)
    else:
        assert not Path(f"/proc/{pid}/stat").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow() -> None:
    def resident(pid: int | str) -> int:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    with Pool("cpu", recycle=10_000, test_only=BARE) as pool:
        [(_, first)] = pool.run([{"n": 0}])
        pid = str(first.result["pid"])
        list(pool.run([{"n": n} for n in range(200)]))
        gc.collect()
        before = resident("self"), resident(pid)
        for _ in range(4):
            for _, reply in pool.run([{"n": n} for n in range(250)]):
                assert reply.result["pid"] == first.result["pid"]
        gc.collect()
        after = resident("self"), resident(pid)
    assert after[0] - before[0] < 4 << 20
    assert after[1] - before[1] < 1 << 20


def test_the_strict_sandbox_is_all_or_nothing() -> None:
    layers = [layer for layer in lockdown.LAYERS if layer not in ("nofile", "landlock")]
    pool = Pool("cpu", sandbox="strict", test_only={**BARE, "layers": layers})
    with pool, pytest.raises(ConfigError, match=r"strict sandbox cannot be had here: .*nofile \(off\)"):
        list(pool.run([{"n": 1}]))
    with Pool("cpu", sandbox="best-effort", test_only={**BARE, "layers": layers}) as pool:
        [(_, reply)] = pool.run([{"n": 1}])
    assert reply.status is Status.DONE
    assert "nofile" not in reply.layers


@pytest.mark.parametrize(
    ("platform", "accelerator", "layers", "missing"),
    [
        (
            "linux",
            False,
            {"user": "on: nobody", "rlimits": "on", "landlock": "on", "nofile": "on", "seccomp": "on"},
            (),
        ),
        (
            "linux",
            False,
            {"user": "on", "rlimits": "on", "landlock": "off: x", "nofile": "on"},
            ("landlock", "seccomp"),
        ),
        ("linux", True, {"user": "on", "rlimits": "on", "landlock": "on", "nofile": "off", "seccomp": "on"}, ()),
        ("darwin", False, {"rlimits": "on", "nofile": "on", "seatbelt": "on"}, ()),
        ("darwin", False, {"rlimits": "on", "nofile": "on", "seatbelt": "off: y"}, ("seatbelt",)),
        ("win32", False, {}, ("user", "rlimits", "landlock", "nofile", "seccomp")),
    ],
)
def test_what_a_strict_sandbox_asks(
    platform: str, accelerator: bool, layers: dict[str, str], missing: tuple[str, ...]
) -> None:
    assert lockdown.missing(layers, platform, accelerator) == missing


def test_a_worker_that_cannot_start_is_a_message(tmp_path: Path) -> None:
    for text, said in (
        ("raise OSError('no\\x07')", r"OSError: no\\x07$"),
        ("import os; os._exit(9)", "ended with status 9"),
    ):
        handler = tmp_path / "handler.py"
        handler.write_text(text)
        pool = Pool("cpu", test_only={**BARE, "test_handler": str(handler)})
        with pool, pytest.raises(ConfigError, match=said):
            list(pool.run([{"n": 1}]))


def test_the_environment_of_a_worker_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "x")
    monkeypatch.setenv("PYTHONPATH", "x")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    variables = environment.variables()
    assert variables["CUDA_VISIBLE_DEVICES"] == "1"
    assert not {"SECRET_TOKEN", "PYTHONPATH"} & set(variables)


def test_a_module_of_the_current_directory_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("torch", "lint_reduction", "json", "sitecustomize"):
        (tmp_path / f"{name}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Pool("cpu", test_only=BARE) as pool:
        [(_, reply)] = pool.run([{"n": 1}])
    assert reply.status is Status.DONE
    assert not (tmp_path / "ran").exists()


def test_the_parent_never_imports_torch() -> None:
    program = (
        "import sys, pkgutil, lint_reduction.verify\n"
        "from lint_reduction.verify import cache, environment, lockdown, pool, process, protocol, worker\n"
        "assert 'torch' not in sys.modules and 'libcst' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], env={**os.environ, "PYTHONPATH": str(ROOT)}, check=True)


# accelerators, as a worker would tell of them


FAKE = """
import json, os, struct, sys
start = json.loads(sys.argv[1])
def send(**message):
    body = json.dumps(message).encode()
    os.write(1, struct.pack("!I", len(body)) + body)
def receive():
    header = os.read(0, 4)
    if not header: sys.exit()
    return json.loads(os.read(0, struct.unpack("!I", header)[0]))
"""
SERVE = """
send(ready=True, device=start["device"], accelerated=True, layers={"user": "on"})
while True:
    job = receive()
    send(id=job["id"], status="done", result={"slot": start["slot"]}, spoiled="spoil" in job["experiment"])
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(processes, "_START", tmp_path / "fake.py")
    return tmp_path / "fake.py"


def test_an_accelerator_has_one_worker_however_many_are_asked_for(fake: Path) -> None:
    fake.write_text(f"{FAKE}\nif start['slot'] > 0: send(ready=False, surplus=True); sys.exit()\n{SERVE}")
    with Pool("auto", jobs=4) as pool:
        replies = [*pool.run([{"n": n} for n in range(9)]), *pool.run([{"n": n} for n in range(9)])]
        assert pool.started == 4
    assert [reply.result for _, reply in replies] == [{"slot": 0}] * 18


def test_a_spoiled_accelerator_gets_another_worker(fake: Path) -> None:
    fake.write_text(FAKE + SERVE)
    with Pool("cuda") as pool:
        replies = dict(pool.run([{"n": 1}, {"spoil": 1}, {"n": 2}]))
        assert pool.started == 2
    assert {reply.status for reply in replies.values()} == {Status.DONE}


def test_an_accelerator_that_kills_its_worker_is_left_for_the_cpu(fake: Path) -> None:
    fake.write_text(f"{FAKE}\nif start['device'] != 'cpu': os.abort()\n{SERVE}")
    with Pool("cuda") as pool:
        [(_, reply)] = pool.run([{"n": 1}])
        assert pool.note == "a worker for the device 'cuda' did not start, the CPU is used"
        assert pool.notes == (pool.note,)
    assert (reply.status, reply.device) == (Status.DONE, "cpu")


def test_a_worker_that_does_not_get_ready_is_a_message(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.write_text("import time\ntime.sleep(60)")
    monkeypatch.setattr(pools, "_START_SECONDS", 0.5)
    with Pool("cpu") as pool, pytest.raises(ConfigError, match=r"not ready after 0\.5 s"):
        list(pool.run([{"n": 1}]))


def test_less_than_the_lock_of_an_accelerator_is_not_strict(fake: Path) -> None:
    fake.write_text(FAKE + SERVE)
    with Pool("cuda", sandbox="strict") as pool, pytest.raises(ConfigError, match="landlock"):
        list(pool.run([{"n": 1}]))


# the cache


DONE = Reply(Status.DONE, {"alpha": 1.0}, "", "cpu", {"seccomp": "on"}, 0.25)


def test_a_result_is_kept(tmp_path: Path) -> None:
    cache = Cache(tmp_path / "a" / "b")
    name = caches.key({"x": 1, "y": [2]}, "cpu", "2.0")
    assert cache.get(name) is None
    cache.put(name, DONE)
    found = cache.get(name)
    assert found == Reply(Status.DONE, {"alpha": 1.0}, "", "cpu", {"seccomp": "on"}, 0.25, cached=True)
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == [f"{name}.json"]


def test_the_key_is_of_all_that_decides() -> None:
    assert caches.key({"x": 1, "y": 2}, "cpu", "2.0") == caches.key({"y": 2, "x": 1}, "cpu", "2.0")
    keys = {
        caches.key({"x": 1}, "cpu", "2.0", "0.1"),
        caches.key({"x": 1.0}, "cpu", "2.0", "0.1"),
        caches.key({"x": 1}, "cuda", "2.0", "0.1"),
        caches.key({"x": 1}, "cpu", "2.1", "0.1"),
        caches.key({"x": 1}, "cpu", "2.0", "0.2"),
    }
    assert len(keys) == 5
    with pytest.raises(ProtocolError):
        caches.key({"x": float("nan")}, "cpu", "2.0")


@pytest.mark.parametrize("changed", ["verify/measure.py", "libraries/torch.toml", "growth.py", "verify/new.py"])
def test_other_code_does_not_answer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changed: str) -> None:
    package = Path(shutil.copytree(caches._PACKAGE, tmp_path / "package"))
    monkeypatch.setattr(caches, "_PACKAGE", package)
    here = caches.sources.__wrapped__()
    assert here == caches.sources()
    with (package / changed).open("a") as file:
        file.write("\n")
    assert caches.sources.__wrapped__() != here


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have owners on POSIX systems")
def test_an_entry_of_somebody_else_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Cache(tmp_path).put("name", DONE)
    monkeypatch.setattr(os, "geteuid", lambda: tmp_path.stat().st_uid + 1)
    assert Cache(tmp_path).get("name") is None


def test_a_large_result_is_not_kept(tmp_path: Path) -> None:
    Cache(tmp_path / "cache").put("name", replace(DONE, result={"text": "x" * 70_000}))
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("status", [status for status in Status if status is not Status.DONE])
def test_only_results_are_kept(tmp_path: Path, status: Status) -> None:
    Cache(tmp_path).put("name", Reply(status))
    assert Cache(tmp_path).get("name") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        '{"result": 1, "layers": {}, "seconds": 1}',
        '{"result": null, "layers": {}, "seconds": 1}',
        '{"result": {}, "layers": {}, "seconds": NaN}',
        '{"result": {}, "layers": {}, "seconds": true}',
        '{"result": {}, "layers": [], "seconds": 1}',
        '{"result": {}, "layers": {}, "seconds": 1, "more": 1}',
        "\x00" * 100,
        "x" * (1 << 21),
    ],
    ids=lambda text: text[:40],
)
def test_an_entry_that_was_damaged_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "name.json").write_text(text)
    assert Cache(tmp_path).get("name") is None
    Cache(tmp_path).put("name", DONE)
    assert Cache(tmp_path).get("name") is not None


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no named pipes")
@pytest.mark.parametrize("kind", ["pipe", "endless", "link"])
def test_an_entry_that_is_no_file_is_none(tmp_path: Path, kind: str) -> None:
    cache = Cache(tmp_path / "cache")
    cache.put("name", DONE)
    entry = tmp_path / "cache" / "name.json"
    elsewhere = entry.rename(tmp_path / "entry.json")
    if kind == "pipe":
        os.mkfifo(entry)
    else:
        entry.symlink_to("/dev/zero" if kind == "endless" else elsewhere)
    assert cache.get("name") is None


@pytest.mark.parametrize("link", ["outer", "outer/inner"])
def test_a_cache_that_a_link_leads_out_of_is_left_alone(tmp_path: Path, link: str) -> None:
    (tmp_path / "other" / "inner").mkdir(parents=True)
    (tmp_path / link).parent.mkdir(exist_ok=True)
    (tmp_path / link).symlink_to(tmp_path / "other", target_is_directory=True)
    Cache(tmp_path / "outer" / "inner").put("name", DONE)
    assert [path.name for path in (tmp_path / "other").rglob("*")] == ["inner"]


def test_text_of_an_entry_is_escaped(tmp_path: Path) -> None:
    (tmp_path / "name.json").write_text(json.dumps({"result": {"why": "\x1b[2J"}, "layers": {}, "seconds": 1}))
    found = Cache(tmp_path).get("name")
    assert found is not None
    assert found.result == {"why": "\\x1b[2J"}


def test_the_cache_is_bounded_and_keeps_what_is_used(tmp_path: Path) -> None:
    cache = Cache(tmp_path, limit=20)
    cache.put("used", DONE)
    for n in range(60):
        os.utime(tmp_path / "used.json", ns=(10**18, 10**18))
        assert cache.get("used") is not None
        cache.put(f"n{n}", DONE)
        assert len(list(tmp_path.glob("*.json"))) <= 20
    assert len(list(Cache(tmp_path)._folder.glob("*.json"))) >= 18
    assert not list(tmp_path.glob("*.tmp"))


def test_a_cache_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, where a folder is asked for")
    cache = Cache(tmp_path / "cache")
    cache.put("name", DONE)
    assert cache.get("name") is None


def test_what_was_run_before_is_not_run_again(tmp_path: Path) -> None:
    with Pool("cpu", test_only=BARE, cache=Cache(tmp_path)) as pool:
        first = dict(pool.run([{"n": 1}, {"n": 2}]))
    with Pool("cpu", test_only=BARE, cache=Cache(tmp_path)) as pool:
        again = dict(pool.run([{"n": 2}, {"n": 1}]))
        assert pool.started == 0
        [(_, other)] = pool.run([{"n": 3}])
        assert pool.started == 1
    assert (again[0].result, again[1].result) == (first[1].result, first[0].result)
    assert again[0].cached
    assert not first[0].cached
    assert not other.cached
