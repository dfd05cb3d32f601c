"""Configuration: which file counts, what it may say, and what is said of one that is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lint_reduction import config
from lint_reduction.config import KNOWN_KEYS, Settings, configuration_in, load_settings
from lint_reduction.errors import ConfigError
from lint_reduction.run.pipeline import Contexts, Overrides
from tests.command import CLEAN, ERROR, NOTE, WARNING, run

#: Two rules on two lines: RED101 and RED303.
TWO = ERROR + 'other = nn.MSELoss(reduction="summ")\n'

Files = dict[str, str]


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(root: Path, files: Files) -> None:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def pyproject(text: str) -> str:
    return f'[project]\nname = "x"\n\n[tool.lint-reduction]\n{text}\n'


def found(*arguments: str) -> list[tuple[str, str]]:
    """Return path and code of each finding."""
    ran = run(*arguments, "--output-format", "concise")
    assert not ran.err
    lines = [line.split(":") for line in ran.out.splitlines() if ": RED" in line]
    return [(parts[0], parts[3].split()[0]) for parts in lines]


# Which file counts.


@pytest.mark.parametrize("name", [".lint-reduction.toml", "lint-reduction.toml", "pyproject.toml"])
def test_each_kind_of_file_is_found(project: Path, name: str) -> None:
    text = 'select = ["RED303"]'
    write(project, {"a.py": TWO, name: pyproject(text) if name == "pyproject.toml" else text})
    assert found("a.py") == [("a.py", "RED303")]


def test_in_one_directory_the_dot_file_wins_over_the_plain_one_and_that_over_pyproject(project: Path) -> None:
    write(project, {"a.py": TWO, "pyproject.toml": pyproject('select = ["RED305"]')})
    assert found(".") == []
    write(project, {"lint-reduction.toml": 'select = ["RED101"]'})
    assert found(".") == [("a.py", "RED101")]
    write(project, {".lint-reduction.toml": 'select = ["RED303"]'})
    assert found(".") == [("a.py", "RED303")]


def test_the_file_closest_to_each_source_wins_and_nothing_is_merged(project: Path) -> None:
    write(
        project,
        {
            "pyproject.toml": pyproject('ignore = ["RED101"]'),
            "a.py": TWO,
            "sub/lint-reduction.toml": 'ignore = ["RED303"]',
            "sub/a.py": TWO,
            "sub/deeper/a.py": TWO,
            "sub/deeper/still/.lint-reduction.toml": "",
            "sub/deeper/still/a.py": TWO,
        },
    )
    assert found(".") == [
        ("a.py", "RED303"),
        ("sub/a.py", "RED101"),
        ("sub/deeper/a.py", "RED101"),
        ("sub/deeper/still/a.py", "RED101"),
        ("sub/deeper/still/a.py", "RED303"),
    ]
    assert found("sub/a.py", "a.py") == [("a.py", "RED303"), ("sub/a.py", "RED101")]


def test_a_pyproject_without_the_table_is_passed_over(project: Path) -> None:
    write(
        project,
        {
            "lint-reduction.toml": 'select = ["RED303"]',
            "sub/pyproject.toml": '[project]\nname = "x"\n[tool.ruff]\nselect = ["E"]\n',
            "sub/a.py": TWO,
        },
    )
    assert found(".") == [("sub/a.py", "RED303")]
    write(project, {"sub/pyproject.toml": "tool = 3\n"})
    assert found(".") == [("sub/a.py", "RED303")]


def test_an_empty_table_counts(project: Path) -> None:
    write(project, {"lint-reduction.toml": "select = []", "sub/pyproject.toml": pyproject(""), "sub/a.py": TWO})
    assert found(".") == [("sub/a.py", "RED101"), ("sub/a.py", "RED303")]


def test_a_directory_with_the_name_of_a_configuration_is_none(project: Path) -> None:
    (project / "lint-reduction.toml").mkdir()
    assert configuration_in(project) is None


def test_a_directory_that_may_not_be_searched_has_no_configuration(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: Path, *_: object, **__: object) -> os.stat_result:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "stat", refuse)
    monkeypatch.setattr(Path, "is_file", refuse)
    assert configuration_in(project) is None


def test_isolated_reads_none_and_config_reads_that_one(project: Path) -> None:
    write(
        project,
        {
            "a.py": TWO,
            "lint-reduction.toml": 'select = ["RED303"]',
            "sub/a.py": TWO,
            "sub/pyproject.toml": pyproject('select = ["RED305"]'),
            "other/any-name.toml": 'select = ["RED101"]',
        },
    )
    both = [("a.py", "RED101"), ("a.py", "RED303"), ("sub/a.py", "RED101"), ("sub/a.py", "RED303")]
    assert found(".", "--isolated") == both
    assert found(".", "--config", "other/any-name.toml") == [("a.py", "RED101"), ("sub/a.py", "RED101")]
    assert found(".", "--config", "sub/pyproject.toml") == []


def test_a_broken_file_is_not_read_when_another_is_named(project: Path) -> None:
    write(project, {"a.py": TWO, "pyproject.toml": "[[[", "good.toml": 'ignore = ["RED303"]'})
    assert run(".").code == 2
    assert found(".", "--isolated") == [("a.py", "RED101"), ("a.py", "RED303")]
    assert found(".", "--config", "good.toml") == [("a.py", "RED101")]


def test_code_from_standard_input_is_under_the_configuration_of_its_name(project: Path) -> None:
    write(project, {"sub/lint-reduction.toml": 'ignore = ["RED101"]'})
    stdin = TWO.encode()
    assert "RED101" not in run("-", "--stdin-filename", "sub/new.py", stdin=stdin).out
    assert "RED101" in run("-", "--stdin-filename", "new.py", stdin=stdin).out
    write(project, {"lint-reduction.toml": 'ignore = ["RED101"]'})
    assert "RED101" not in run("-", stdin=stdin).out


def test_each_configuration_is_read_once_however_many_directories_there_are(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(project, {"pyproject.toml": pyproject(""), **{f"a/b{i}/c{i}/x.py": CLEAN for i in range(20)}})
    read: list[Path] = []
    table = config._table

    def counted(path: Path) -> dict[str, object] | None:
        read.append(path)
        return table(path)

    monkeypatch.setattr(config, "_table", counted)
    contexts = Contexts(Overrides())
    contexts_seen = {id(contexts.of(project / f"a/b{i}/c{i}")) for i in range(20)}
    assert len(contexts_seen) == 1
    assert read == [project / "pyproject.toml"] * 2  # whether it has the table, and what the table says


# What it may say.


def test_the_command_line_wins(project: Path) -> None:
    write(project, {"a.py": TWO, "lint-reduction.toml": 'select = ["RED303"]\nignore = ["RED101"]'})
    assert found(".") == [("a.py", "RED303")]
    assert found(".", "--select", "RED101") == [("a.py", "RED101")]
    assert found(".", "--extend-select", "RED101") == [("a.py", "RED101"), ("a.py", "RED303")]
    assert found(".", "--ignore", "RED303") == []
    write(project, {"lint-reduction.toml": 'extend-select = ["RED303"]'})
    assert found(".", "--select", "RED101") == [("a.py", "RED101")]


def test_select_extend_select_and_ignore(project: Path) -> None:
    write(project, {"a.py": TWO})
    for text, codes in {
        'select = ["RED1"]': ["RED101"],
        'select = ["invalid-reduction"]': ["RED303"],
        "select = []": [],
        'select = ["ALL"]\nignore = ["RED3"]': ["RED101"],
        'select = ["RED305"]\nextend-select = ["RED303"]': ["RED303"],
        'ignore = ["unscaled-sum"]': ["RED303"],
    }.items():
        write(project, {"lint-reduction.toml": text})
        assert [code for _, code in found(".")] == codes, text


def test_per_file_ignores_by_patterns_relative_to_the_configuration(project: Path, tmp_path: Path) -> None:
    names = ["a.py", "paper.py", "lib/a.py", "lib/paper.py", "papers/deep/a.py"]
    write(
        project,
        {
            **dict.fromkeys(names, TWO),
            "lint-reduction.toml": '[per-file-ignores]\n"paper.py" = ["RED1"]\n"papers/" = ["RED101", "RED303"]\n'
            '"/lib/a.py" = ["invalid-reduction"]\n',
        },
    )
    expected = [("a.py", "RED101"), ("a.py", "RED303"), ("lib/a.py", "RED101"), ("lib/paper.py", "RED303")]
    assert found(".") == [*expected, ("paper.py", "RED303")]
    os.chdir(tmp_path / "lib")
    assert found(".") == [("a.py", "RED101"), ("paper.py", "RED303")]


def test_exclude_replaces_the_usual_patterns_and_extend_exclude_adds_to_them(project: Path) -> None:
    names = ["a.py", "build/a.py", "gen/a.py", "lib/gen/a.py", "lib/a_pb2.py"]
    write(project, dict.fromkeys(names, ERROR))

    def looked_at(text: str) -> list[str]:
        write(project, {"lint-reduction.toml": text})
        return [path for path, _ in found(".")]

    assert looked_at("") == ["a.py", "gen/a.py", "lib/a_pb2.py", "lib/gen/a.py"]
    assert looked_at('extend-exclude = ["gen"]') == ["a.py", "lib/a_pb2.py"]
    assert looked_at('extend-exclude = ["/gen/", "*_pb2.py"]') == ["a.py", "lib/gen/a.py"]
    assert looked_at('exclude = ["lib"]') == ["a.py", "build/a.py", "gen/a.py"]
    assert looked_at("exclude = []") == sorted(names)
    assert looked_at('extend-exclude = ["lib/*", "!lib/gen"]') == ["a.py", "gen/a.py", "lib/gen/a.py"]


def test_patterns_are_relative_to_the_configuration_wherever_the_command_runs(project: Path) -> None:
    write(project, {"lint-reduction.toml": 'exclude = ["/lib/gen"]', "lib/gen/a.py": ERROR, "lib/a.py": ERROR})
    os.chdir(project / "lib")
    assert found(".") == [("a.py", "RED101")]


@pytest.mark.parametrize(("program", "severity"), [(ERROR, "error"), (WARNING, "warning"), (NOTE, "note")])
def test_a_fixed_batch_size_makes_notes_of_sums(project: Path, program: str, severity: str) -> None:
    write(project, {"a.py": program})
    assert severity in run(".").out
    write(project, {"pyproject.toml": pyproject("fixed-batch-size = true")})
    ran = run(".")
    assert ran.code == 0
    assert ran.out.startswith("note[RED101]")


def test_a_fixed_batch_size_makes_notes_of_sums_by_hand_and_leaves_other_rules_alone(project: Path) -> None:
    manual = ERROR.replace('"sum"', '"none"').replace("criterion(model(x), y)", "criterion(model(x), y).sum()")
    unreduced = ERROR.replace('"sum"', '"none"')
    write(project, {"manual.py": manual, "unreduced.py": unreduced})
    assert [line.partition("[")[0] for line in run(".").out.splitlines() if "[RED" in line] == ["error", "error"]
    write(project, {"pyproject.toml": pyproject("fixed-batch-size = true")})
    ran = run(".")
    assert "note[RED102]" in ran.out
    assert "error[RED121]" in ran.out
    assert ran.code == 1


def test_min_confidence(project: Path) -> None:
    vague = "import torch\n\n\ndef f(x, y):\n    loss = ((x - y) ** 2).sum()\n    loss.backward()\n"
    write(project, {"sure.py": ERROR, "vague.py": vague})
    assert found(".") == [("sure.py", "RED101")]
    write(project, {"lint-reduction.toml": 'min-confidence = "low"'})
    assert found(".") == [("sure.py", "RED101"), ("vague.py", "RED102")]
    assert found(".", "--min-confidence", "high") == [("sure.py", "RED101")]


# A user's own tables.

OWN_LOSS = """\
[[loss]]
name = "mylib.losses.SumLoss"
function = "mylib.sum_loss"
default = "sum"
mean = "1"
sum = "samples * elements"
"""
TRAIN = """\
import torch
from torch.utils.data import DataLoader
import mylib


def train(model: torch.nn.Module, dataset: torch.utils.data.Dataset) -> None:
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for x, y in DataLoader(dataset, batch_size=32):
        loss = mylib.sum_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
"""


@pytest.mark.parametrize(
    ("imported", "called"),
    [
        ("import mylib", "mylib.sum_loss(model(x), y)"),
        ("from mylib import sum_loss", "sum_loss(model(x), y)"),
        ("from mylib import sum_loss as s", "s(model(x), y)"),
        ("import mylib as m", "m.sum_loss(model(x), y)"),
        ("from mylib.losses import SumLoss", "SumLoss()(model(x), y)"),
        ("from mylib import losses", "losses.SumLoss()(model(x), y)"),
    ],
)
@pytest.mark.parametrize("name", ["lint-reduction.toml", "pyproject.toml"])
def test_a_loss_of_ones_own_is_found(project: Path, name: str, imported: str, called: str) -> None:
    program = TRAIN.replace("import mylib", imported).replace("mylib.sum_loss(model(x), y)", called)
    write(project, {"train.py": program})
    assert found(".") == []
    table = OWN_LOSS if name == "lint-reduction.toml" else OWN_LOSS.replace("[[loss]]", "[[tool.lint-reduction.loss]]")
    write(project, {name: table})
    assert found(".") == [("train.py", "RED101")]
    ran = run(".")
    assert "growth: samples * elements" in ran.out
    assert ran.code == 1


def test_a_loss_of_ones_own_may_be_fixed_to_the_mean(project: Path) -> None:
    write(project, {"train.py": TRAIN, "lint-reduction.toml": OWN_LOSS.replace('default = "sum"', 'fixed = "mean"')})
    assert found(".") == []


def test_an_optimizer_of_ones_own_decides_the_severity(project: Path) -> None:
    program = ERROR.replace("torch.optim.SGD(", "mylib.Steady(").replace(
        "import torch\n", "import torch\nimport mylib\n", 1
    )
    write(project, {"a.py": program})
    assert run(".").out.startswith("warning[RED101]")
    table = '[[optimizer]]\nname = "mylib.Steady"\nbehavior = "{}"\n'
    write(project, {"lint-reduction.toml": table.format("invariant")})
    assert run(".").out.startswith("note[RED101]")
    write(project, {"lint-reduction.toml": table.format("equivariant")})
    assert run(".").out.startswith("error[RED101]")


SINK = """\
import mylib


def train(model, loader):
    engine = mylib.Engine(model)
    for x, y in loader:
        loss = ((model(x) - y) ** 2).sum()
        engine.learn(loss)
"""


@pytest.mark.parametrize(
    ("table", "program"),
    [
        ('method = "mylib.Engine.learn"\nsteps = true\n', SINK),
        ('function = "mylib.learn"\n', SINK.replace("engine.learn", "mylib.learn")),
        (
            'returns = "learning_step"\nbases = ["mylib.Module"]\n',
            "import mylib\n\n\nclass Model(mylib.Module):\n    def learning_step(self, batch):\n"
            "        return ((self(batch.x) - batch.y) ** 2).sum()\n",
        ),
    ],
)
def test_a_sink_of_ones_own_trains(project: Path, table: str, program: str) -> None:
    write(project, {"train.py": program})
    arguments = (".", "--min-confidence", "low")
    assert found(*arguments) == []
    write(project, {"lint-reduction.toml": f"[[sink]]\n{table}"})
    assert found(*arguments) == [("train.py", "RED102")]


def test_an_object_of_ones_own_that_is_called_with_a_loss_trains(project: Path) -> None:
    program = SINK.replace("engine.learn", "engine").replace(
        "((model(x) - y) ** 2).sum()", 'torch.nn.functional.mse_loss(model(x), y, reduction="sum")'
    )
    write(project, {"train.py": f"import torch\n{program}"})
    assert found(".", "--min-confidence", "low") == []
    write(project, {"lint-reduction.toml": '[[sink]]\nmethod = "mylib.Engine.__call__"\n'})
    assert found(".", "--min-confidence", "low") == [("train.py", "RED101")]


def test_a_name_of_ones_own_counts(project: Path) -> None:
    program = CLEAN.replace("criterion(model(x), y)", "criterion(model(x), y) * antal")
    assert program != CLEAN
    write(project, {"a.py": program})
    assert found(".") == []
    write(project, {"lint-reduction.toml": '[counts]\nsamples = ["Antal"]\n'})
    assert found(".") == [("a.py", "RED103")]


# What is wrong.


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('selct = ["RED101"]', "unknown key 'selct'; did you mean 'select'?"),
        ('extend_select = ["RED101"]', "unknown key 'extend_select'; did you mean 'extend-select'?"),
        ("fixed-batch = true", "unknown key 'fixed-batch'; did you mean 'fixed-batch-size'?"),
        ("optimise = true", "unknown key 'optimise'; did you mean 'optimizer'?"),
        ("q = 1", "unknown key 'q'; known: select, extend-select, ignore, "),
        ("losses = []", "unknown key 'losses'; did you mean 'loss'?"),
        ('select = "RED101"', "select must be a list of strings"),
        ("select = [101]", "select must be a list of strings"),
        ("ignore = true", "ignore must be a list of strings"),
        ("exclude = { a = 1 }", "exclude must be a list of strings"),
        ('fixed-batch-size = "yes"', "fixed-batch-size must be true or false"),
        ("fixed-batch-size = 1", "fixed-batch-size must be true or false"),
        ("respect-gitignore = 0", "respect-gitignore must be true or false"),
        ('min-confidence = "sure"', "min-confidence must be one of low, medium, high"),
        ("min-confidence = 2", "min-confidence must be one of low, medium, high"),
        ('per-file-ignores = ["a.py"]', "per-file-ignores must be a table of patterns and lists of rules"),
        ('[per-file-ignores]\n"a.py" = "RED101"', "per-file-ignores: a.py must be a list of strings"),
        ('counts = ["n"]', "counts must be a table of counts and lists of names"),
        ('[counts]\nsamples = "n"', "counts: samples must be a list of strings"),
        ('[counts]\nsample = ["n"]', "no count 'sample'; known: samples, elements, "),
        ('select = ["RED999"]', "select: no rule 'RED999'; did you mean 'RED209'?"),
        ('extend-select = ["unscaled"]', "extend-select: no rule 'unscaled'; did you mean 'unscaled-sum'?"),
        ('ignore = ["E501"]', "ignore: no rule 'E501'; did you mean '"),
        ('[per-file-ignores]\n"a.py" = ["RED9"]', "per-file-ignores: a.py: no rule 'RED9'; did you mean '"),
        ('ignore = ["nothing"]', "ignore: no rule 'nothing'; `lint-reduction rules` lists them"),
        ('[per-file-ignores]\n"[z-a]" = ["RED1"]', "per-file-ignores: not a pattern: '[z-a]'"),
        ('exclude = ["!"]', "exclude: not a pattern: '!'"),
        ('extend-exclude = ["ok", "a\\\\"]', "extend-exclude: not a pattern: 'a\\\\'"),
        ("loss = 3", "loss must be a list of tables, [[loss]]"),
        ("[loss]\nname = 'x.Y'", "loss must be a list of tables, [[loss]]"),
        ("[[loss]]\ndefault = 'sum'", "loss ?: a loss needs a name or a function"),
        ("[[loss]]\nname = 'x.Y'\nsize = 3", "loss x.Y: unknown key 'size'; known: accepts, "),
        ("[[loss]]\nname = 'x.Y'\nmaen = '1'", "loss x.Y: unknown key 'maen'; did you mean 'mean'?"),
        ("[[loss]]\nname = 'x.Y'\ndefault = 'summ'", "loss x.Y: default must be one of none, mean, sum, not 'summ'"),
        ("[[loss]]\nname = 'x.Y'\nfixed = 'total'", "loss x.Y: fixed must be one of none, mean, sum, not 'total'"),
        ("[[loss]]\nfunction = 'x.y'", 'loss x.y: nothing says how it is reduced; give its default, such as "sum"'),
        ("[[loss]]\nname = 3", "loss 3: name is of the wrong type: 3"),
        ("[[loss]]\nname = 'x.Y'\nsum = 'sample'", "loss x.Y: sum: not a count: 'sample' in 'sample'"),
        ("[[loss]]\nname = 'x.Y'\npositional = [1]", "loss x.Y: positional must be a list of strings"),
        ("[[optimizer]]\nname = 'x.Y'", "optimizer x.Y: behavior must be one of equivariant, invariant, "),
        ("[[optimizer]]\nbehavior = 'invariant'", "optimizer ?: an optimizer needs a name"),
        ("[[sink]]\nmethod = 'x.Y.z'\nfunction = 'x.f'", "sink x.f: a sink needs one of method, function, returns, "),
        ("[[sink]]\nmethod = 'x.Y.z'\nargument = 'loss'", "sink x.Y.z: argument is of the wrong type: 'loss'"),
        ("[[sink]]\nmethod = 'x.Y.z'\nargument = ['loss', 0]", "sink x.Y.z: argument must be a position and a name"),
    ],
)
@pytest.mark.parametrize("name", ["lint-reduction.toml", "pyproject.toml"])
def test_what_is_wrong_is_said_in_one_line_that_names_file_and_key(
    project: Path, name: str, text: str, message: str
) -> None:
    if name == "pyproject.toml":
        text = "\n".join(
            line.replace("[[", "[[tool.lint-reduction.") if line.startswith("[[") else
            line.replace("[", "[tool.lint-reduction.", 1) if line.startswith("[") else
            line
            for line in text.splitlines()
        )  # fmt: skip
        text = text if text.startswith("[") else f"[tool.lint-reduction]\n{text}"
    write(project, {"a.py": CLEAN, name: text})
    ran = run(".")
    assert ran.code == 2
    assert ran.out == ""
    assert ran.err.startswith(f"lint-reduction: {project / name}: {message}")
    assert ran.err.count("\n") == 1


@pytest.mark.parametrize(
    "data",
    [b"select = ", b"[tool", b"a = 1\na = 2", b"\xff\xfe", b"x = " + b"[" * 3000 + b"]" * 3000, b"select = ['\n']"],
)
@pytest.mark.parametrize("name", ["lint-reduction.toml", "pyproject.toml"])
def test_what_is_no_toml_is_said_in_one_line(project: Path, name: str, data: bytes) -> None:
    write(project, {"a.py": CLEAN})
    (project / name).write_bytes(data)
    for arguments in ((".",), ("a.py",), ("-",), (".", "--exit-zero"), (".", "--config", name)):
        ran = run(*arguments)
        assert ran.code == 2
        assert ran.out == ""
        assert ran.err.startswith("lint-reduction: ")
        assert name in ran.err
        assert ran.err.count("\n") == 1


def test_a_tool_table_of_the_wrong_type(project: Path) -> None:
    write(project, {"a.py": CLEAN, "pyproject.toml": "[tool]\nlint-reduction = 3\n"})
    assert run(".").err == f"lint-reduction: {project / 'pyproject.toml'}: tool.lint-reduction must be a table\n"


@pytest.mark.parametrize("name", ["nowhere.toml", "."])
def test_a_configuration_that_is_named_must_be_a_file(project: Path, name: str) -> None:
    write(project, {"a.py": CLEAN})
    ran = run(".", "--config", name)
    assert ran.code == 2
    assert ran.err.startswith(f"lint-reduction: {name}: ")
    assert ran.err.count("\n") == 1


def test_a_wrong_configuration_of_a_directory_that_is_not_looked_at_is_no_error(project: Path) -> None:
    write(project, {"a.py": CLEAN, "build/pyproject.toml": "[[[", "build/a.py": ERROR, "docs/pyproject.toml": "[[["})
    assert run("a.py").code == 0
    (project / "docs/pyproject.toml").unlink()
    assert run(".").code == 0


def test_the_defaults_are_those_of_an_empty_file(project: Path) -> None:
    write(project, {"lint-reduction.toml": ""})
    path = project / "lint-reduction.toml"
    assert load_settings(path) == Settings(root=project, source=str(path))


def test_every_known_key_can_be_read(project: Path) -> None:
    values = {
        "respect-gitignore": "false", "fixed-batch-size": "true", "min-confidence": '"high"',
        "follow-installed": "false",
        "min-severity": '"error"', "fail-on": '"note"', "baseline": '"known.json"', "cache-dir": '"kept"',
        "per-file-ignores": '{ "a.py" = ["RED101"] }', "counts": '{ samples = ["n"] }',
    }  # fmt: skip
    text = "".join(f"{key} = {values.get(key, '[]')}\n" for key in KNOWN_KEYS)
    write(project, {"lint-reduction.toml": text})
    assert load_settings(project / "lint-reduction.toml").counts == (("n", "samples"),)


def test_a_configuration_that_cannot_be_read_is_an_error(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, {"lint-reduction.toml": ""})

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(ConfigError, match=r"lint-reduction\.toml: permission denied$"):
        load_settings(project / "lint-reduction.toml")
