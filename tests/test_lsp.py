"""The language server over standard streams, with the client of pygls as the editor."""

from __future__ import annotations

import asyncio
import builtins
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from lint_reduction.run.fixes import edited
from tests.command import CLEAN, ERROR, NOTE, ROOT, WARNING, run

pytest.importorskip("pygls", reason="needs the extra lsp")

from lsprotocol import types
from pygls.lsp.client import LanguageClient

from lint_reduction.facts import Span
from lint_reduction.finding import Edit

#: How long the server may take to answer, in seconds, on a machine that does other things.
PATIENCE = 120.0
SITE = 'nn.MSELoss(reduction="sum")'


class Editor:
    """A client with a folder, and what the server told it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.client = LanguageClient("editor", "1")
        self.published: list[types.PublishDiagnosticsParams] = []
        self.shown: list[str] = []
        self.arrived = asyncio.Event()
        self.versions: dict[str, int] = {}

        @self.client.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        def publish(params: types.PublishDiagnosticsParams) -> None:
            self.published.append(params)
            self.arrived.set()

        @self.client.feature(types.WINDOW_SHOW_MESSAGE)
        def show(params: types.ShowMessageParams) -> None:
            self.shown.append(params.message)

        @self.client.feature(types.WINDOW_LOG_MESSAGE)
        def log(params: types.LogMessageParams) -> None:
            pass

    def uri(self, name: str) -> str:
        return (self.root / name).as_uri()

    async def open(self, name: str, text: str) -> list[types.Diagnostic]:
        self.versions[name] = 1
        document = types.TextDocumentItem(self.uri(name), "python", 1, text)
        self.client.text_document_did_open(types.DidOpenTextDocumentParams(document))
        return await self.diagnostics(name)

    def type(self, name: str, text: str) -> None:
        self.versions[name] += 1
        document = types.VersionedTextDocumentIdentifier(self.versions[name], self.uri(name))
        change = types.TextDocumentContentChangeWholeDocument(text)
        self.client.text_document_did_change(types.DidChangeTextDocumentParams(document, [change]))

    async def change(self, name: str, text: str) -> list[types.Diagnostic]:
        self.type(name, text)
        return await self.diagnostics(name)

    async def save(self, name: str) -> list[types.Diagnostic]:
        self.published.clear()
        self.client.text_document_did_save(
            types.DidSaveTextDocumentParams(types.TextDocumentIdentifier(self.uri(name)))
        )
        return await self.diagnostics(name)

    async def diagnostics(self, name: str) -> list[types.Diagnostic]:
        """Wait for what the server says of the document as it is now."""
        uri, version = self.uri(name), self.versions[name]
        while True:
            told = [p for p in self.published if p.uri == uri and p.version == version]
            if told:
                return list(told[-1].diagnostics)
            self.arrived.clear()
            await self.arrived.wait()

    async def actions(self, name: str, place: types.Range, only: list[str] | None = None) -> list[types.CodeAction]:
        context = types.CodeActionContext([], only=only)
        params = types.CodeActionParams(types.TextDocumentIdentifier(self.uri(name)), place, context)
        found = await self.client.text_document_code_action_async(params)
        return [action for action in found or [] if isinstance(action, types.CodeAction)]

    async def hover(self, name: str, line: int, character: int) -> str:
        params = types.HoverParams(types.TextDocumentIdentifier(self.uri(name)), types.Position(line, character))
        found = await self.client.text_document_hover_async(params)
        if found is None:
            return ""
        assert isinstance(found.contents, types.MarkupContent)
        return found.contents.value


@contextlib.asynccontextmanager
async def editing(root: Path, encodings: list[types.PositionEncodingKind] | None = None) -> AsyncIterator[Editor]:
    editor = Editor(root)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    await editor.client.start_io(sys.executable, "-m", "lint_reduction", "server", cwd=str(root), env=environment)
    general = types.GeneralClientCapabilities(position_encodings=encodings)
    capabilities = types.ClientCapabilities(general=general)
    await editor.client.initialize_async(types.InitializeParams(capabilities, root_uri=root.as_uri()))
    editor.client.initialized(types.InitializedParams())
    try:
        yield editor
    finally:
        await editor.client.shutdown_async(None)
        editor.client.exit(None)
        await editor.client.stop()


Scene = Callable[[Editor], Coroutine[Any, Any, None]]


def play(root: Path, scene: Scene, encodings: list[types.PositionEncodingKind] | None = None) -> None:
    async def whole() -> None:
        async with editing(root, encodings) as editor:
            await scene(editor)

    asyncio.run(asyncio.wait_for(whole(), PATIENCE))


def where(diagnostic: types.Diagnostic) -> tuple[int, int, int, int]:
    start, end = diagnostic.range.start, diagnostic.range.end
    return start.line, start.character, end.line, end.character


def applied(text: str, action: types.CodeAction, uri: str) -> str:
    assert action.edit is not None
    assert action.edit.changes is not None
    assert set(action.edit.changes) == {uri}
    edits = [
        Edit(
            Span(e.range.start.line + 1, e.range.start.character + 1, e.range.end.line + 1, e.range.end.character + 1),
            e.new_text,
        )
        for e in action.edit.changes[uri]
    ]
    return edited(text, edits)


# --- diagnostics


def test_what_is_opened_changed_and_saved_is_looked_at(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        (found,) = await editor.open("a.py", ERROR)
        assert where(found) == (6, 16, 6, 16 + len(SITE))
        assert (found.code, found.source, found.severity) == (
            "RED101", "lint-reduction", types.DiagnosticSeverity.Error,
        )  # fmt: skip
        assert found.message.startswith("gradient grows as samples * elements")
        assert await editor.change("a.py", CLEAN) == []
        (found,) = await editor.change("a.py", f"\n{ERROR}")
        assert where(found)[0] == 7
        assert len(await editor.save("a.py")) == 1

    play(tmp_path, scene)


def test_severities_and_tags(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        await editor.open("a.py", CLEAN)
        (found,) = await editor.change("a.py", WARNING)
        assert (found.severity, found.tags) == (types.DiagnosticSeverity.Warning, None)
        (found,) = await editor.change("a.py", NOTE)
        assert (found.severity, found.tags) == (types.DiagnosticSeverity.Information, None)
        (unused,) = await editor.change("a.py", f"x = 1  # noqa: RED101\n{CLEAN}")
        assert (unused.code, tuple(unused.tags or ())) == ("RED001", (types.DiagnosticTag.Unnecessary,))
        (broken,) = await editor.change("a.py", "import torch.nn.MSELoss\nx = (\n")
        assert (broken.code, broken.severity) == ("RED000", types.DiagnosticSeverity.Error)

    play(tmp_path, scene)


def test_the_path_of_the_loss_is_related_information(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        (found,) = await editor.open("a.py", ERROR)
        related = found.related_information or []
        assert {place.location.uri for place in related} == {editor.uri("a.py")}
        lines = ERROR.splitlines()
        told = {place.message: lines[place.location.range.start.line].strip() for place in related}
        assert told["backward"] == "loss.backward()"
        assert told["optimizer"].startswith("optimizer = torch.optim.SGD")

    play(tmp_path, scene)


LOSSES = "import torch\n\n\ndef recon(x, y):\n    é = '𝔘'; return torch.nn.functional.mse_loss(x, y, reduction='sum')\n"
TRAIN = ERROR.replace("criterion(model(x), y)", "recon(model(x), y)").replace(f"    criterion = {SITE}\n", "")
TRAIN = TRAIN.replace("import torch\n", "import torch\nfrom losses import recon\n", 1)


def test_open_documents_that_import_each_other_are_looked_at_together(tmp_path: Path) -> None:
    """Also as they are in the editor, and not on disk."""

    async def scene(editor: Editor) -> None:
        assert await editor.open("losses.py", LOSSES) == []
        assert await editor.open("train.py", TRAIN) == []
        (found,) = await editor.save("losses.py")
        assert found.code == "RED101"
        (backward,) = (place for place in found.related_information or [] if place.message == "backward")
        assert backward.location.uri == editor.uri("train.py")
        assert await editor.change("losses.py", LOSSES.replace("sum", "mean")) == []

    (tmp_path / "losses.py").write_text(LOSSES.replace("sum", "mean"))
    (tmp_path / "train.py").write_text(TRAIN)
    play(tmp_path, scene)


@pytest.mark.parametrize("encoding", list(types.PositionEncodingKind))
def test_places_are_counted_as_the_client_counts(tmp_path: Path, encoding: types.PositionEncodingKind) -> None:
    before = "é = '𝔘\x0c'; x = "
    text = f"import torch; {before}torch.nn.MSELoss(reduction='summ')\n"
    units = {"utf-8": "utf-8", "utf-16": "utf-16-le", "utf-32": "utf-32-le"}[encoding.value]
    width = {"utf-8": 1, "utf-16": 2, "utf-32": 4}[encoding.value]

    async def scene(editor: Editor) -> None:
        (found,) = await editor.open("a.py", text)
        assert where(found)[:2] == (0, len(f"import torch; {before}".encode(units)) // width)
        assert "RED303" in await editor.hover("a.py", *where(found)[:2])

    play(tmp_path, scene, [encoding])


def test_only_the_last_of_quick_changes_is_looked_at(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        await editor.open("a.py", CLEAN)
        for number in range(10):
            editor.type("a.py", f"# {number}\n{ERROR}")
        assert len(await editor.diagnostics("a.py")) == 1
        versions = [told.version for told in editor.published]
        assert versions == [1, 11]

    play(tmp_path, scene)


def test_a_document_that_is_closed_has_no_findings(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        await editor.open("a.py", ERROR)
        editor.published.clear()
        document = types.TextDocumentIdentifier(editor.uri("a.py"))
        editor.client.text_document_did_close(types.DidCloseTextDocumentParams(document))
        assert await editor.open("b.py", CLEAN) == []
        assert [(told.uri, list(told.diagnostics)) for told in editor.published] == [
            (editor.uri("a.py"), []),
            (editor.uri("b.py"), []),
        ]

    play(tmp_path, scene)


def test_settings_count_and_what_is_excluded_is_left_alone(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        assert await editor.open("old/a.py", ERROR) == []
        assert len(await editor.open("a.py", ERROR)) == 1
        (tmp_path / "lint-reduction.toml").write_text('ignore = ["RED101"]\n')
        assert await editor.save("a.py") == []

    (tmp_path / "lint-reduction.toml").write_text('extend-exclude = ["old"]\n')
    play(tmp_path, scene)


def test_wrong_settings_are_shown_once(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        assert await editor.open("a.py", ERROR) == []
        assert await editor.save("a.py") == []
        (message,) = editor.shown
        assert "unknown key 'unknown'" in message
        (tmp_path / "lint-reduction.toml").write_text("")
        assert len(await editor.save("a.py")) == 1

    (tmp_path / "lint-reduction.toml").write_text("unknown = 1\n")
    play(tmp_path, scene)


# --- fixes


def test_fixes_say_how_safe_they_are(tmp_path: Path) -> None:
    text = ERROR + "other = nn.MSELoss(size_average=False)\n"

    async def scene(editor: Editor) -> None:
        unsafe, safe = await editor.open("a.py", text)
        fix, silence = await editor.actions("a.py", unsafe.range)
        assert (fix.title, fix.kind, fix.is_preferred) == (
            'Write reduction="mean" (unsafe)', types.CodeActionKind.QuickFix, False,
        )  # fmt: skip
        assert list(fix.diagnostics or ()) == [unsafe]
        assert applied(text, fix, editor.uri("a.py")) == text.replace('"sum"', '"mean"')
        assert silence.title == "Silence RED101 here"
        fix, _ = await editor.actions("a.py", safe.range)
        assert (fix.title, fix.is_preferred) == ('Write reduction="sum" (safe)', True)
        silenced = applied(text, silence, editor.uri("a.py"))
        assert f"{SITE}  # lint-reduction: ignore[RED101]\n" in silenced
        assert [d.code for d in await editor.change("a.py", silenced)] == ["RED301"]

    play(tmp_path, scene)


def test_actions_are_those_of_the_place_and_of_the_kind_that_is_asked_for(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        (found,) = await editor.open("a.py", ERROR)
        top = types.Range(types.Position(0, 0), types.Position(0, 3))
        assert await editor.actions("a.py", top) == []
        assert len(await editor.actions("a.py", types.Range(top.start, types.Position(20, 0)))) == 2
        assert await editor.actions("a.py", found.range, ["refactor"]) == []
        assert len(await editor.actions("a.py", found.range, ["quickfix"])) == 2
        (found,) = await editor.change("a.py", f"x = 1  # noqa: RED101\n{CLEAN}")
        assert await editor.actions("a.py", found.range) == []

    play(tmp_path, scene)


def test_no_fix_is_offered_for_code_that_changed_since(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        (found,) = await editor.open("a.py", ERROR)
        editor.type("a.py", f"\n{ERROR}")
        assert await editor.actions("a.py", found.range) == []
        (found,) = await editor.diagnostics("a.py")
        assert len(await editor.actions("a.py", found.range)) == 2

    play(tmp_path, scene)


# --- hover


def test_the_documentation_of_the_rule_is_shown(tmp_path: Path) -> None:
    async def scene(editor: Editor) -> None:
        await editor.open("a.py", ERROR)
        assert await editor.hover("a.py", 6, 20) == run("explain", "RED101").out
        assert await editor.hover("a.py", 0, 0) == ""

    play(tmp_path, scene)


# --- without pygls


def test_without_the_extra_the_command_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *arguments: Any, **more: Any) -> Any:
        if name.partition(".")[0] in ("pygls", "lsprotocol"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name.partition(".")[0])
        return real(name, *arguments, **more)

    monkeypatch.delitem(sys.modules, "lint_reduction.frontends.lsp", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    ran = run("server")
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == "lint-reduction: the server needs pygls: pip install 'lint-reduction[lsp]'\n"
