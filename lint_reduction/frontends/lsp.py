"""The language server: findings while code is written, with their fixes, and what the rules say."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import from_fs_path, to_fs_path
from pygls.workspace import PositionCodec

from lint_reduction import __version__
from lint_reduction.errors import ConfigError, SourceError
from lint_reduction.facts import Span
from lint_reduction.finding import Applicability, Finding
from lint_reduction.frontends.docs import explanation
from lint_reduction.impact import Severity
from lint_reduction.run.pipeline import Contexts, Overrides, judged, lint_candidates, report_on
from lint_reduction.run.report import Report
from lint_reduction.run.selection import UNREADABLE, UNUSED_SUPPRESSION
from lint_reduction.source.discover import Candidate
from lint_reduction.source.file import decode, encode_declared, read_bytes
from lint_reduction.source.suppressions import added_suppressions

#: How long nothing must be typed before the code is looked at again, in seconds.
DELAY = 0.2

_SOURCE = "lint-reduction"
_NEWLINE = re.compile(r"\r\n|\r|\n")
_SEVERITIES = {
    Severity.ERROR: types.DiagnosticSeverity.Error,
    Severity.WARNING: types.DiagnosticSeverity.Warning,
    Severity.NOTE: types.DiagnosticSeverity.Information,
}


@dataclass(frozen=True, slots=True)
class _Text:
    """A source text, and places in it as the client counts them."""

    text: str
    lines: Sequence[str]
    codec: PositionCodec

    @classmethod
    def of(cls, text: str, codec: PositionCodec) -> _Text:
        return cls(text, _NEWLINE.split(text), codec)

    def position(self, line: int, column: int) -> types.Position:
        before = self.lines[line - 1][: column - 1] if line <= len(self.lines) else ""
        return types.Position(line - 1, self.codec.client_num_units(before))

    def range(self, span: Span) -> types.Range:
        return types.Range(self.position(span.line, span.column), self.position(span.end_line, span.end_column))


@dataclass(frozen=True, slots=True)
class _Linted:
    """An open document as it was looked at last.

    Attributes:
        version: of the document.
        text: its source.
        found: what was found in it, with what the client was told.
    """

    version: int | None
    text: _Text
    found: Sequence[tuple[Finding, types.Diagnostic]]


class _Session:
    """What the server knows of the documents that are open: those that import each other are looked at together."""

    def __init__(self, server: LanguageServer) -> None:
        self.server = server
        self.open: set[str] = set()
        self.linted: dict[str, _Linted] = {}
        self.lock = asyncio.Lock()
        self.said = ""

    async def changed(self, uri: str, delay: float = 0.0) -> None:
        """Look at all documents, unless another change of this one comes first."""
        version = self.server.workspace.get_text_document(uri).version
        if delay:
            await asyncio.sleep(delay)
            if uri not in self.open or self.server.workspace.get_text_document(uri).version != version:
                return
        async with self.lock:
            await self._lint()

    async def _lint(self) -> None:
        codec = self.server.workspace.position_codec
        documents = {uri: self.server.workspace.get_text_document(uri) for uri in sorted(self.open)}
        texts = {uri: (_Text.of(document.source, codec), document.version) for uri, document in documents.items()}
        paths = {uri: os.path.abspath(path) for uri in texts if (path := to_fs_path(uri))}  # noqa: PTH100  # as linted
        contents = {path: encode_declared(texts[uri][0].text) for uri, path in paths.items()}
        try:
            report = await asyncio.to_thread(_lint, contents)
        except ConfigError as error:
            self._complain(str(error))
            report = Report()
        else:
            self._complain(report.crashes[0].strip() if report.crashes else "")
        for uri, path in paths.items():
            text, version = texts[uri]
            if uri in self.open:
                found = [d.finding for d in report.diagnostics if d.absolute == path]
                self._publish(uri, _Linted(version, text, [(f, _diagnostic(f, uri, text)) for f in found]))

    def _publish(self, uri: str, linted: _Linted) -> None:
        self.linted[uri] = linted
        told = [diagnostic for _, diagnostic in linted.found]
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, told, linted.version))

    def _complain(self, message: str) -> None:
        """Show what is wrong with the settings or the tool, once."""
        if message and message != self.said:
            self.server.window_show_message(
                types.ShowMessageParams(types.MessageType.Error, f"{_SOURCE}: {message.splitlines()[-1]}")
            )
            self.server.window_log_message(types.LogMessageParams(types.MessageType.Error, message))
        self.said = message

    def closed(self, uri: str) -> None:
        """Forget a document."""
        self.open.discard(uri)
        self.linted.pop(uri, None)
        self.server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    def at(self, uri: str, place: types.Range) -> Iterator[tuple[Finding, types.Diagnostic]]:
        """Yield what was found at a place, nothing if the document changed since."""
        linted = self.linted.get(uri)
        if linted is None or self.server.workspace.get_text_document(uri).version != linted.version:
            return
        for finding, diagnostic in linted.found:
            if _order(diagnostic.range.start) <= _order(place.end) and _order(place.start) <= _order(
                diagnostic.range.end
            ):
                yield finding, diagnostic

    def actions(self, uri: str, place: types.Range) -> Iterator[types.CodeAction]:
        """Yield what can be done about what was found at a place."""
        for finding, diagnostic in self.at(uri, place):
            text = self.linted[uri].text
            if finding.fix is not None:
                edits = [types.TextEdit(text.range(edit.span), edit.replacement) for edit in finding.fix.edits]
                title = f"{finding.fix.title} ({finding.fix.applicability.value})"
                yield _action(title, uri, edits, diagnostic, finding.fix.applicability is Applicability.SAFE)
            if finding.code in (UNREADABLE, UNUSED_SUPPRESSION):
                continue
            try:
                added = list(added_suppressions(text.text, {finding.span.line: [finding.code]}, ""))
            except SourceError:
                continue
            edits = [types.TextEdit(text.range(span), new) for span, new in added]
            yield _action(f"Silence {finding.code} here", uri, edits, diagnostic, False)


def _order(position: types.Position) -> tuple[int, int]:
    return position.line, position.character


def _action(
    title: str, uri: str, edits: list[types.TextEdit], diagnostic: types.Diagnostic, preferred: bool
) -> types.CodeAction:
    return types.CodeAction(
        title,
        types.CodeActionKind.QuickFix,
        diagnostics=[diagnostic],
        is_preferred=preferred,
        edit=types.WorkspaceEdit(changes={uri: edits}),
    )


def _lint(contents: Mapping[str, bytes]) -> Report:
    contexts = Contexts(Overrides(), contents)
    candidates = [Candidate(Path(path), named=True) for path in contents if not contexts.leaves_out(path, False)]
    return report_on(judged(lint_candidates(candidates, contexts), contexts), contexts)


def _diagnostic(finding: Finding, uri: str, text: _Text) -> types.Diagnostic:
    unused = finding.code == UNUSED_SUPPRESSION
    return types.Diagnostic(
        text.range(finding.span),
        f"{finding.message}\n{finding.advice}".strip(),
        _SEVERITIES[finding.severity],
        code=finding.code,
        source=_SOURCE,
        tags=[types.DiagnosticTag.Unnecessary] if unused else None,
        related_information=list(_related(finding, uri, text)) or None,
    )


def _related(finding: Finding, uri: str, text: _Text) -> Iterator[types.DiagnosticRelatedInformation]:
    """Yield the path of the loss."""
    others: dict[str, tuple[str, _Text] | None] = {}
    for related in finding.related:
        path = related.span.path
        if path and path not in others:
            others[path] = _other(path, text.codec)
        place = others[path] if path else (uri, text)
        if place is not None:
            location = types.Location(place[0], place[1].range(related.span))
            yield types.DiagnosticRelatedInformation(location, related.role)


def _other(path: str, codec: PositionCodec) -> tuple[str, _Text] | None:
    """Return address and text of another file, None if it cannot be read any more."""
    absolute = os.path.abspath(path)  # noqa: PTH100  # as shown, relative to the current directory
    uri = from_fs_path(absolute)
    try:
        return None if uri is None else (uri, _Text.of(decode(read_bytes(Path(absolute))), codec))
    except SourceError:
        return None


def make_server() -> LanguageServer:
    """Return a server that looks at what is opened, changed and saved."""
    server = LanguageServer(_SOURCE, __version__, text_document_sync_kind=types.TextDocumentSyncKind.Full)
    session = _Session(server)

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    async def opened(params: types.DidOpenTextDocumentParams) -> None:
        session.open.add(params.text_document.uri)
        await session.changed(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    async def changed(params: types.DidChangeTextDocumentParams) -> None:
        await session.changed(params.text_document.uri, DELAY)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    async def saved(params: types.DidSaveTextDocumentParams) -> None:
        await session.changed(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(params: types.DidCloseTextDocumentParams) -> None:
        session.closed(params.text_document.uri)

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION, types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix])
    )
    def code_actions(params: types.CodeActionParams) -> list[types.CodeAction]:
        only = params.context.only
        wanted = only is None or any(types.CodeActionKind.QuickFix.value.startswith(kind) for kind in only)
        return list(session.actions(params.text_document.uri, params.range)) if wanted else []

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    def hover(params: types.HoverParams) -> types.Hover | None:
        found = list(session.at(params.text_document.uri, types.Range(params.position, params.position)))
        if not found:
            return None
        codes = dict.fromkeys(finding.code for finding, _ in found)
        text = "\n---\n\n".join(explanation(code) for code in codes)
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), found[0][1].range)

    return server


def serve() -> None:
    """Serve on standard input and output until the client leaves."""
    make_server().start_io()
