"""The command line: each file of this folder is one command; this one finds, runs and guards them."""

from __future__ import annotations

import errno
import os
import re
import sys
import traceback
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from headstart import console
from headstart.errors import HeadstartError, MachineError, MissingExtra, NoSpace, UsageError
from headstart.registry import plugins

INTERRUPTED = 130
EXTRAS = {
    "torch": "text",
    "transformers": "text",
    "safetensors": "text",
    "huggingface_hub": "text",
    "sklearn": "text",
    "matplotlib": "text",
    "jinja2": "text",
    "PIL": "image",
    "soundfile": "audio",
    "soxr": "audio",
    "openvino": "openvino",
    "pyarrow": "tables",
    "openpyxl": "tables",
}
# typer does not export the class of all its complaints about what was typed.
MistypedError: type[Exception] = typer.BadParameter.__bases__[0]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command in `arguments` (default: those of the process) and exit with its code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    sys.exit(_run(words))


def application() -> typer.Typer:
    """Return the typer application with every command that is installed."""
    app = typer.Typer(
        name="headstart",
        help="Adapt a pre-trained model to your photos, texts or recordings.",
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
    )
    app.callback()(_options)
    for name, command in plugins("cli").items():
        app.command(name)(command)
    return app


def _run(words: list[str]) -> int:
    try:
        code = application()(words or ["--help"], prog_name="headstart", standalone_mode=False)
    except Exception as error:
        if os.environ.get("HEADSTART_DEBUG") == "1":
            traceback.print_exc()
        known = explain(error, words)
        console.say_error(known, as_json="--json" in words)
        return known.exit_code
    if code == INTERRUPTED:
        console.note("interrupted; what was cached is kept" + ("; go on with --resume" if words[:1] == ["fit"] else ""))
    return code or 0


def explain(error: Exception, words: Sequence[str] = ()) -> HeadstartError:
    """Return what the user, who typed `words`, is told about `error`."""
    match error:
        case HeadstartError():
            return error
        case MistypedError():
            return _mistyped(error, words)
        case ModuleNotFoundError(name=str(name)) if (package := name.partition(".")[0]) in EXTRAS:
            return MissingExtra(package, EXTRAS[package])
        case OSError(errno=errno.ENOSPC | errno.EDQUOT):
            return NoSpace(
                f"the disk is full: cannot write `{error.filename or 'a file'}`",
                "free some space, or set HEADSTART_CACHE to a folder on another disk",
            )
        case OSError(filename=str(name)):
            return MachineError(f"`{name}`: {error.strerror}", "check the path and its permissions")
        case MemoryError():
            return MachineError("the memory is full", "give fewer examples or a smaller --batch-size")
    return HeadstartError(
        f"this is a bug in headstart: {type(error).__name__}: {error}",
        "run the command again with HEADSTART_DEBUG=1 and report what it prints",
    )


def _mistyped(error: Any, words: Sequence[str]) -> UsageError:
    path = error.ctx.command_path if error.ctx else "headstart"
    see = f"see `{path} --help`"
    kind, name = type(error).__name__, getattr(error, "option_name", None)
    if kind == "NoSuchOption":
        nearest = error.possibilities
        return UsageError(f"there is no option `{name}`", f"did you mean `{nearest[0]}`?" if nearest else see)
    parameter = getattr(error, "param", None)
    if kind == "MissingParameter" and parameter is not None:
        shown = parameter.opts[0] if parameter.param_type_name == "option" else parameter.metavar
        return UsageError(f"`{shown}` is missing", see)
    if kind == "BadParameter" and parameter is not None:
        wanted = {"integer": "it must be a whole number", "number": "it must be a number"}
        said = error.message.replace("Input should", "it must")
        hint = next((meant for word, meant in wanted.items() if f"valid {word}" in said), said)
        return UsageError(f"`{parameter.opts[0]}` cannot be `{_typed(words, parameter.opts)}`", hint)
    message, _, question = error.format_message().rstrip(".").partition(". ")
    message, question = (re.sub("'([^']*)'", r"`\1`", text) for text in (message, question))
    return UsageError(message[:1].lower() + message[1:], question[:1].lower() + question[1:] or see)


def _typed(words: Sequence[str], names: Sequence[str]) -> str:
    """Return what was typed for the option that has these names."""
    for word, following in zip(words, [*words[1:], ""], strict=False):
        name, equals, value = word.partition("=")
        if name in names:
            return value if equals else following
    return ""


def _show_version(wanted: bool) -> None:
    if wanted:
        from headstart import __version__

        console.say(f"headstart {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version, is_eager=True)
    ] = False,
) -> None:
    """Adapt a pre-trained model to your photos, texts or recordings.

    Frozen blocks are computed once for each example and kept; only the rest is trained.
    """
