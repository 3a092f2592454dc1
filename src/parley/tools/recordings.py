"""The ``recordings`` tool: sound files that an agent may play."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from parley.core.errors import BadAudio, ToolFailed
from parley.tools.arguments import Arguments, one_of
from parley.tools.premises import Flaw, Premises
from parley.tools.provider import ProviderContext
from parley.tools.spec import Tool, ToolCall

SUFFIXES = frozenset({".wav", ".flac", ".mp3", ".ogg", ".opus", ".m4a", ".aac"})
LONGEST_S = 600.0
_MOST_FILES = 100


def _relative(value: object) -> object:
    if isinstance(value, str) and (Path(value).is_absolute() or ".." in Path(value).parts):
        raise ValueError("takes a folder below that of the agent's file, such as recordings")
    return value


class RecordingsOptions(BaseModel):
    """Which folder, beside the agent's file, holds the sound, and whether the caller's speech may
    stop it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    folder: Annotated[str, BeforeValidator(_relative), Field(min_length=1)] = "recordings"
    interruptible: bool = True


class RecordingsProvider:
    """Makes the tool ``play_recording``."""

    name = "recordings"
    summary = "Playing sound files from a folder beside the agent's file."
    options = RecordingsOptions

    def tools(self, options: RecordingsOptions, context: ProviderContext) -> Sequence[Tool]:
        folder = context.folder / options.folder if context.folder else None
        name = one_of(_names(folder), "Which recording")
        return (
            Tool(
                name="play_recording",
                description="Play a recording to the caller; it is heard after what you say now.",
                run=partial(_play, folder, options.interruptible),
                parameters={
                    "type": "object",
                    "properties": {"name": name},
                    "required": ["name"],
                    "additionalProperties": False,
                },
                # Speech before it has its time as well.
                timeout_s=LONGEST_S + 60,
                interruptible=options.interruptible,
                filler_after_ms=0,
            ),
        )

    def flaws(
        self, options: RecordingsOptions, context: ProviderContext, premises: Premises
    ) -> Iterator[Flaw]:
        if context.folder is None:
            return
        folder = context.folder / options.folder
        if not folder.is_dir():
            yield Flaw(
                ("folder",),
                f"There is no folder {folder}. Make it, and put the recordings into it.",
            )
        elif not _names(folder):
            kinds = ", ".join(sorted(SUFFIXES))
            yield Flaw(
                ("folder",), f"{folder} holds no recordings. Put sound files into it: {kinds}."
            )


def _names(folder: Path | None) -> list[str]:
    if folder is None:
        return []
    try:
        files = sorted(each.name for each in folder.iterdir() if each.suffix.lower() in SUFFIXES)
    except OSError:
        # No folder, no recordings: the tool says so when it is used.
        return []
    return files[:_MOST_FILES]


def found_in(folder: Path | None, name: str) -> Path:
    """The file of that name in the folder, and in no other. Raises ``ToolFailed``."""
    if folder is None:
        raise ToolFailed("This agent has no folder to play recordings from.")
    try:
        home = folder.resolve(strict=True)
        file = (home / name).resolve(strict=True)
        # A link that leads out of the folder is as good as a path that does.
        is_inside = file.is_relative_to(home) and file.is_file()
    except (OSError, ValueError):
        is_inside, file = False, folder
    if not is_inside or file.suffix.lower() not in SUFFIXES:
        known = ", ".join(_names(folder)) or "none"
        raise ToolFailed(f"There is no recording {name[:60]!r}. These can be played: {known}.")
    return file


async def _play(folder: Path | None, interruptible: bool, call: ToolCall) -> dict[str, Any]:
    name = Arguments(call.arguments, ("name",)).text("name")
    file = found_in(folder, name)
    try:
        was_heard = await call.actions.play(file, interruptible=interruptible)
    except BadAudio as error:
        raise ToolFailed(f"{name} can't be played: {error.message}") from error
    return {"status": "played" if was_heard else "interrupted"}
