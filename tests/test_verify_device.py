"""The choice of a device and a dtype; device discipline on a simulated accelerator, on ``meta`` and on a real one."""

from __future__ import annotations

from importlib.util import find_spec
from types import SimpleNamespace

import pytest

from lint_reduction.errors import ConfigError
from lint_reduction.verify.pool import Pool
from tests.simulated import on_simulated_accelerator
from tests.workers import WITH_TORCH

pytestmark = pytest.mark.torch

if find_spec("torch"):
    import torch

    from lint_reduction.verify import device as devices
    from lint_reduction.verify.warm import warm


@pytest.fixture(autouse=True)
def _with_torch() -> None:
    pytest.importorskip("torch")


@pytest.fixture
def no_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_accelerator", lambda: None)


@pytest.mark.usefixtures("no_accelerator")
@pytest.mark.parametrize("slot", [0, 1, 7])
def test_without_an_accelerator_all_workers_are_on_the_cpu(slot: int) -> None:
    device = devices.choose("auto", slot)
    assert device == devices.on_cpu() == devices.choose("cpu", slot)
    assert device is not None
    assert (device.name, device.accelerated) == ("cpu", False)
    assert device.dtype == device.trial_dtype == torch.float64
    assert device.tolerance == 1e-6


@pytest.mark.parametrize("name", ["", "nonsense", "cpu:x", "cuda:-1", "auto "])
def test_a_device_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"^torch .* (knows no|cannot compute on the) device"):
        devices.choose(name)


@pytest.mark.parametrize("name", ["cuda", "cuda:1", "mps", "xpu"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    if devices._available(name.partition(":")[0]):
        pytest.skip("it is there")
    with pytest.raises(ConfigError, match=f"cannot compute on the device '{name}"):
        devices.choose(name)


@pytest.fixture
def two_accelerators(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Pretend that there are two GPUs, which have no float64; nothing runs on them."""
    tried: list[str] = []

    def check(device: torch.device, dtype: torch.dtype) -> None:
        tried.append(f"{device} {dtype}")
        if dtype == torch.float64:
            raise TypeError("no float64")

    monkeypatch.setattr(devices, "check", check)
    monkeypatch.setattr(devices, "_count", lambda kind: 2)
    found = SimpleNamespace(is_available=lambda: True, current_accelerator=lambda: torch.device("cuda"))
    monkeypatch.setattr(torch, "accelerator", found, raising=False)
    return tried


def test_each_accelerator_has_one_worker(two_accelerators: list[str]) -> None:
    chosen = [devices.choose("auto", slot) for slot in range(4)]
    assert [device.name if device else None for device in chosen] == ["cuda:0", "cuda:1", None, None]
    assert [devices.choose("cuda:1", slot) is None for slot in range(2)] == [False, True]
    assert [devices.choose("cuda", slot) is None for slot in range(3)] == [False, False, True]
    assert two_accelerators


def test_a_dtype_is_found_by_trial(two_accelerators: list[str]) -> None:
    device = devices.choose("auto")
    assert device is not None
    assert two_accelerators == ["cuda:0 torch.float64", "cuda:0 torch.float32"]
    assert (device.dtype, device.tolerance, device.trial_dtype) == (torch.float32, 5e-3, torch.float64)


def test_other_kinds_are_found_without_torch_accelerator(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "accelerator", None, raising=False)
    for kind in ("cuda", "mps", "xpu"):
        with monkeypatch.context() as patch:
            patch.setattr(devices, "_available", lambda name, kind=kind: name == kind)
            assert devices._accelerator() == kind
    monkeypatch.setattr(devices, "_available", lambda kind: False)
    assert devices._accelerator() is None


def test_meta_computes_nothing_and_is_refused() -> None:
    with pytest.raises(ConfigError):
        devices.exact_dtype(torch.device("meta"))


def test_numbers_are_the_same_every_time() -> None:
    devices.numeric_policy()
    first = torch.randn(3)
    devices.numeric_policy()
    assert torch.equal(first, torch.randn(3))
    assert torch.get_num_threads() == 1
    assert torch.are_deterministic_algorithms_enabled()
    torch.use_deterministic_algorithms(False)


def test_the_warm_up_runs_on_the_cpu_and_leaves_no_trace() -> None:
    default = torch.get_default_dtype()
    warm(devices.on_cpu())
    assert torch.get_default_dtype() == default
    assert torch.is_grad_enabled()


# the simulated accelerator


def test_the_simulated_accelerator_is_found_as_a_real_one_is() -> None:
    result = on_simulated_accelerator(
        """
        result = [device.name, str(device.dtype), device.accelerated, str(device.trial), device.tolerance,
                  devices.choose("auto", 1) is None, devices.choose("cpu").name, devices.choose("simgpu:0").name]
        """
    )
    assert result == ["simgpu:0", "torch.float64", True, "cpu", 1e-6, True, "cpu", "simgpu:0"]


def test_the_warm_up_mixes_no_devices() -> None:
    """The warm-up passes over what fails; here nothing does but what the simulation or the optimizer lacks."""
    result = on_simulated_accelerator(
        """
        from lint_reduction.verify.warm import uses
        result = []
        for use in uses(device.final, device.dtype):
            try:
                use()
            except Exception as error:
                result.append([type(error).__name__, str(getattr(use, "args", ["?"])[:2])])
        """
    )
    assert isinstance(result, list)
    assert [what for name, what in result if name == "DeviceMismatchError"] == ["('CTCLoss', 'mean')"]
    others = [what for name, what in result if name != "DeviceMismatchError"]
    assert all("Optimizer" in what or "SparseAdam" in what for what in others), others


#: Whether a line mixes devices.
LINES = {
    "a + torch.ones(3)": True,
    "torch.ones(3) * a": True,
    "torch.nn.functional.mse_loss(a, torch.zeros(3))": True,
    "torch.stack([a, torch.ones(3)])": True,
    "a + torch.tensor(1.0)": False,
    "a + 1": False,
    "a.cpu() + torch.ones(3)": False,
    "a + torch.ones(3).to(device.final)": False,
    "a + torch.tensor([1.0, 2.0, 3.0], device=device.final)": False,
}


def test_a_line_that_mixes_devices_is_caught() -> None:
    result = on_simulated_accelerator(
        f"""
        a = torch.ones(3, device=device.final)
        result = {{}}
        for line in {list(LINES)!r}:
            try:
                eval(line)
                result[line] = False
            except simdev.DeviceMismatchError as error:
                result[line] = "tensors on simgpu:0 and cpu" in str(error)
        """
    )
    assert result == LINES


def test_training_gives_the_same_numbers_as_on_the_cpu() -> None:
    result = on_simulated_accelerator(
        """
        def train(where, name):
            torch.manual_seed(0)
            weight = torch.nn.Parameter(torch.randn(4, 3, dtype=device.dtype).to(where))
            optimizer = getattr(torch.optim, name)([weight], lr=0.1)
            for _ in range(3):
                optimizer.zero_grad()
                target = torch.tensor([0, 1, 2, 0]).to(where)
                torch.nn.functional.cross_entropy(weight, target, reduction="sum").backward()
                torch.nn.utils.clip_grad_norm_([weight], 1.0)
                optimizer.step()
            return weight.detach().cpu().tolist()
        names = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD"]
        result = [name for name in names if train(device.final, name) != train("cpu", name)]
        result += [simdev.COUNTS.to_device > 0, simdev.COUNTS.to_cpu > 0]
        """
    )
    assert result == [True, True]


# the device without values, which every torch has


@pytest.mark.parametrize("name", ["MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "BCEWithLogitsLoss"])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_meta_tells_a_mix_of_devices_too(name: str, reduction: str) -> None:
    loss = getattr(torch.nn, name)(reduction=reduction)
    weight = torch.ones(2, 3, device="meta", requires_grad=True)
    loss(weight, torch.ones(2, 3, device="meta")).sum().backward()
    assert weight.grad is not None
    assert weight.grad.device.type == "meta"
    with pytest.raises(RuntimeError, match="device"):
        loss(weight, torch.ones(2, 3)).sum().backward()


# a real one


@pytest.fixture
def accelerator() -> devices.Device:
    device = devices.choose("auto")
    if device is None or not device.accelerated:
        pytest.skip("no accelerator here")
    return device


@pytest.mark.gpu
def test_an_accelerator_computes(accelerator: devices.Device) -> None:
    devices.numeric_policy()
    warm(accelerator)
    devices.check(accelerator.final, accelerator.dtype)


@pytest.mark.gpu
def test_a_worker_computes_on_an_accelerator_behind_its_lock(accelerator: devices.Device) -> None:
    with Pool("auto", timeout=60, test_only=WITH_TORCH) as pool:
        [(_, reply)] = pool.run([{"loss": "MSELoss", "reduction": "sum"}])
        assert (reply.device, pool.note) == (accelerator.name, "")
    assert reply.result["exponent"] == pytest.approx(1.0, abs=accelerator.tolerance)
