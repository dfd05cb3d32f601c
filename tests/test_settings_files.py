"""Settings in YAML files: what is read, what is left alone, and that nothing in a file is constructed."""

from __future__ import annotations

import itertools
import time
from pathlib import Path

import pytest

from lint_reduction.run.pipeline import Overrides, lint
from lint_reduction.source.hydra import compose
from lint_reduction.source.yaml_file import NotLiteral, read_yaml
from tests.command import run, run_apart

TRAIN = """\
import easydict
import torch
import types
import yaml
from pathlib import Path
from torch import nn
from torch.utils.data import DataLoader


def train(model: nn.Module, dataset):
    config = {load}
    criterion = nn.MSELoss(reduction={reduction})
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in DataLoader(dataset, batch_size=32):
        optimizer.zero_grad()
        loss = criterion(model(x), y)
        loss.backward()
        optimizer.step()
"""
LINE = 12


def found(load: str = 'yaml.safe_load(open("c.yaml"))', reduction: str = 'config["reduction"]') -> list[int]:
    """Return the lines of the findings in a program in the current directory."""
    Path("train.py").write_text(TRAIN.format(load=load, reduction=reduction))
    report = lint([Path("train.py")], Overrides(isolated=True))
    assert report.crashes == ()
    return [d.finding.span.line for d in report.diagnostics]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("")
    (tmp_path / "c.yaml").write_text("reduction: sum\nnested:\n  deeper:\n    reduction: sum\n")
    return tmp_path


@pytest.mark.parametrize(
    ("load", "reduction"),
    [
        ('yaml.safe_load(open("c.yaml", "r"))', 'config["reduction"]'),
        ('yaml.load(open("./c.yaml"), Loader=yaml.SafeLoader)', 'config.get("reduction")'),
        ('yaml.safe_load(Path("c.yaml").open())', 'config["nested"]["deeper"]["reduction"]'),
        ('yaml.safe_load(open(Path("c.yaml")).read())', 'config["nested"].get("deeper")["reduction"]'),
        ('easydict.EasyDict(yaml.safe_load(open("c.yaml")))', "config.nested.deeper.reduction"),
        ('types.SimpleNamespace(**yaml.safe_load(open("c.yaml")))', "config.reduction"),
    ],
)
def test_a_literal_path_is_followed(load: str, reduction: str) -> None:
    assert found(load, reduction) == [LINE]


@pytest.mark.parametrize(
    ("load", "reduction"),
    [
        ('yaml.safe_load(open("c.yaml"))', 'config["missing"]'),
        ('yaml.safe_load(open("c.yaml"))', 'config["reduction"]["deeper"]'),
        ('yaml.safe_load(open("c.yaml", "w"))', 'config["reduction"]'),
        ('yaml.safe_load(open("missing.yaml"))', 'config["reduction"]'),
        ("yaml.safe_load(open(dataset.path))", 'config["reduction"]'),
        ('yaml.safe_load("c.yaml")', 'config["reduction"]'),
    ],
)
def test_what_is_not_written_out_is_not_known(load: str, reduction: str) -> None:
    assert found(load, reduction) == []


UNKNOWN = {
    "no mapping": "- reduction\n",
    "empty": "",
    "a comment": "# reduction: sum\n",
    "broken": "reduction: sum\n  : [\n",
    "several documents": "reduction: sum\n---\nreduction: sum\n",
    "an interpolation": "reduction: ${loss.reduction}\n",
    "a mandatory value": "reduction: ???\n",
    "a list": "reduction: [sum]\n",
    "a tag of its own": "reduction: !env sum\n",
    "an object": "reduction: !!python/object/apply:os.system ['touch ran']\n",
    "a whole object": "!!python/object/apply:os.system ['touch ran']\n",
    "large": "reduction: sum\n" + "".join(f"key{i}: {i}\n" for i in range(10_000)),
    "many values": "reduction: sum\n" + "".join(f"k{i}: 1\n" for i in range(5_000)),
    "deep": "reduction: sum\nx: " + "[" * 5_000 + "]" * 5_000 + "\n",
    "deep in blocks": "reduction: sum\nx:\n" + "".join(" " * i + "- \n" for i in range(1, 300)),
    "itself": "x: &x\n  y: *x\nreduction: sum\n",
}


@pytest.mark.parametrize("text", UNKNOWN.values(), ids=UNKNOWN)
def test_what_is_not_plain_is_not_known(here: Path, text: str) -> None:
    (here / "c.yaml").write_text(text)
    assert found() == []
    assert not (here / "ran").exists()


def test_neither_bytes_nor_a_directory_nor_a_link_in_a_circle_is_read(here: Path) -> None:
    for data in (b"\xff\xfe\0", b"\0", b"reduction: \xe9\n"):
        (here / "c.yaml").write_bytes(data)
        assert found() == []
    (here / "c.yaml").unlink()
    (here / "c.yaml").mkdir()
    assert found() == []
    (here / "d.yaml").symlink_to(here / "d.yaml")
    assert found('yaml.safe_load(open("d.yaml"))') == []


def test_aliases_that_multiply_end(here: Path) -> None:
    names = "abcdefghijklmnop"
    lists = [f"{n}: &{n} [{', '.join(f'*{before}' for _ in range(9))}]" for before, n in itertools.pairwise(names)]
    maps = [f"{n}2: &{n}2\n  <<: [{', '.join(f'*{b}2' for _ in range(9))}]" for b, n in itertools.pairwise(names)]
    for lines in (["a: &a [1]", *lists], ["a2: &a2\n  x: 1", *maps]):
        (here / "c.yaml").write_text("\n".join([*lines, "reduction: sum"]))
        started = time.monotonic()
        assert found() == []
        assert time.monotonic() - started < 10


def test_scalars_are_read_as_yaml_has_them(here: Path) -> None:
    text = 'a: 1\nb: 1.5\nc: yes\nd: null\ne: "1"\nf: ~\ng: 1e-3\nh: 0x10\ni: 2001-01-01\nj: !!str 5\nk: True\n'
    (here / "c.yaml").write_text(text)
    tree = read_yaml(here / "c.yaml")
    assert tree is not None
    assert {key: value for key, value in tree.items() if not isinstance(value, NotLiteral)} == {
        "a": 1, "b": 1.5, "c": True, "d": None, "e": "1", "f": None, "g": "1e-3", "j": "5", "k": True,
    }  # fmt: skip


def test_two_files_that_a_path_may_mean_are_none(here: Path) -> None:
    (here / "tools").mkdir()
    (here / "tools" / "train.py").write_text(
        TRAIN.format(load='yaml.safe_load(open("c.yaml"))', reduction='config["reduction"]')
    )
    lines = [d.finding.span.line for d in lint([here / "tools"], Overrides(isolated=True)).diagnostics]
    assert lines == [LINE]
    (here / "tools" / "c.yaml").write_text("reduction: sum\n")
    assert lint([here / "tools"], Overrides(isolated=True)).diagnostics == ()


@pytest.mark.parametrize(
    "change",
    [
        'config["reduction"] = "mean"',
        "config['reduction'] = dataset.reduction",
        "config.update(dataset.options)",
        'config.update({"reduction": "mean"})',
        'config.update(reduction="mean")',
        "update_settings(config, dataset)",
        "setattr(config, 'reduction', 'mean')",
        "for name, value in vars(dataset).items():\n        config[name] = value",
        "for name, value in vars(dataset).items():\n        setattr(config, name, value)",
        "dataset.merge_config(config)",
    ],
)
def test_settings_that_the_program_changes(change: str) -> None:
    load = f'yaml.safe_load(open("c.yaml"))\n    {change}'
    assert found(load) == []


@pytest.mark.parametrize(
    "change",
    [
        'config["reduction"] = "mean"',
        "config['reduction'] = config['other']",
        'config["nested"]["deeper"]["reduction"] = "mean"\n    config["reduction"] = "mean"',
    ],
)
def test_settings_that_another_module_changes(here: Path, change: str) -> None:
    (here / "prepare.py").write_text(f"def prepare(config):\n    {change}\n")
    load = 'yaml.safe_load(open("c.yaml"))\n    from prepare import prepare\n    prepare(config)'
    assert found(load) == []


def test_a_function_that_nobody_calls_changes_nothing(here: Path) -> None:
    (here / "c.yaml").write_text("reduction: mean\n")
    text = TRAIN.format(load="CONFIG", reduction='config["reduction"]')
    first = "import yaml\nCONFIG = yaml.safe_load(open('c.yaml'))\n\n\ndef debug():\n    CONFIG['reduction'] = 'sum'\n"
    second = "    print(yaml.nn.MSELoss(), CONFIG['reduction'])\n\n\n"
    (here / "train.py").write_text(first + second + text)
    assert lint([here / "train.py"], Overrides(isolated=True)).diagnostics == ()


def test_a_copy_is_changed_by_itself(here: Path) -> None:
    (here / "c.yaml").write_text("reduction: mean\nnested:\n  deeper:\n    reduction: mean\n")
    change = 'other["reduction"] = "sum"; other["nested"]["deeper"]["reduction"] = "sum"'
    load = f'yaml.safe_load(open("c.yaml"))\n    import copy\n    other = copy.deepcopy(config)\n    {change}'
    assert found(load) == []
    assert found(load, 'config["nested"]["deeper"]["reduction"]') == []
    assert found(load, 'other["nested"]["deeper"]["reduction"]') == [LINE + 3]


def test_a_change_in_one_branch_leaves_the_other(here: Path) -> None:
    (here / "c.yaml").write_text("reduction: mean\n")
    load = 'yaml.safe_load(open("c.yaml"))\n    if dataset:\n        config["reduction"] = "sum"'
    Path("train.py").write_text(TRAIN.format(load=load, reduction='config["reduction"]'))
    diagnostics = lint([Path("train.py")], Overrides(isolated=True)).diagnostics
    assert [str(d.finding.confidence) for d in diagnostics] == ["medium"]


def test_nothing_is_imported_that_reads_yaml_where_no_program_does(here: Path) -> None:
    program = "import sys; from lint_reduction.frontends.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    program += "print('yaml' in sys.modules)"
    (here / "plain.py").write_text(TRAIN.format(load="dataset.config", reduction='"sum"'))
    # the parser library may load it by itself, for its own settings
    alone = run_apart(python=("-c", "import libcst, sys; print('yaml' in sys.modules)"), cwd=here).out.strip()
    ran = run_apart("plain.py", cwd=here, python=("-c", program))
    assert ran.out.splitlines()[-1] == alone


def test_facts_say_that_the_reduction_is_not_known(here: Path) -> None:
    (here / "c.yaml").write_text("reduction: ${oc.env:REDUCTION}\n")
    found()
    out = run("facts", "train.py").out
    assert "reduction not known" in out


# Hydra.


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def test_groups_and_files_are_composed_in_order(here: Path) -> None:
    write(here, {
        "conf/config.yaml": "defaults:\n  - base\n  - model/loss: mse\n  - _self_\n  - optional local: none\nx: 1\n",
        "conf/base.yaml": "x: 0\ny: 0\n",
        "conf/model/loss/mse.yaml": "reduction: sum\n",
    })  # fmt: skip
    assert compose(here / "conf", "config") == {"x": 1, "y": 0, "model": {"loss": {"reduction": "sum"}}}
    assert compose(here / "conf", "config.yaml") == compose(here / "conf", "config")


@pytest.mark.parametrize(
    "defaults",
    [
        "- loss: missing", "- missing", "- loss: [mse, l1]", "- loss: ${which}", "- loss: ???", "- /loss: mse",
        "- loss@other: mse", "- override loss: mse", "- loss: deeper", "- loss: packaged", "mse", "- 1", "- loss: ../x",
    ],
)  # fmt: skip
def test_other_defaults_leave_everything_unknown(here: Path, defaults: str) -> None:
    write(here, {
        "conf/config.yaml": f"defaults:\n  {defaults}\nx: 1\n",
        "conf/loss/mse.yaml": "reduction: sum\n",
        "conf/loss/deeper.yaml": "defaults:\n  - mse\nreduction: sum\n",
        "conf/loss/packaged.yaml": "# @package _global_\nreduction: sum\n",
        "conf/x.yaml": "reduction: sum\n",
    })  # fmt: skip
    assert compose(here / "conf", "config") is None


def test_without_self_only_what_both_agree_on_is_known(here: Path) -> None:
    write(here, {
        "conf/config.yaml": "defaults:\n  - loss: mse\nloss:\n  reduction: mean\n  beta: 1\nx: 1\n",
        "conf/loss/mse.yaml": "reduction: sum\nbeta: 1\n",
    })  # fmt: skip
    tree = compose(here / "conf", "config")
    assert tree is not None
    loss = tree["loss"]
    assert isinstance(loss, dict)
    assert loss["beta"] == 1
    assert isinstance(loss["reduction"], NotLiteral)


@pytest.mark.parametrize("path", ["\\ud800", "a\\0b"])
def test_what_can_be_no_path_leads_nowhere(here: Path, path: str) -> None:
    read = f'yaml.safe_load(open("{path}"))'
    text = TRAIN.format(load=read, reduction='config["reduction"]')
    (here / "read.py").write_text(text)
    main = f'@hydra.main(config_path="{path}", config_name="config", version_base=None)\ndef main(config):'
    composing = text.replace("def train(model: nn.Module, dataset):", main).replace(f"    config = {read}\n", "")
    (here / "main.py").write_text(f"import hydra\n{composing}")
    for options in (("--no-cache",), ("--cache-dir", "cache"), ("--cache-dir", "cache")):
        ran = run("--isolated", *options, ".")
        assert (ran.code, ran.err) == (0, "")
