"""The Chromium that tests drive: where it is, how it starts, and what happens without one."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome")

# It has a microphone that beeps, and asks nobody outside of this machine for anything.
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--use-fake-device-for-media-stream",
    "--disable-background-networking",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-sync",
    "--metrics-recording-only",
    "--no-first-run",
    "--no-pings",
    "--disable-features=OptimizationHints,MediaRouter,Translate,AutofillServerCommunication",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1 , EXCLUDE localhost",
)
# Nobody is there to be asked or to click.
UNATTENDED = (
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)


def find_chromium() -> str | None:
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def require_chromium() -> str:
    """Its path. Where there is none, continuous integration fails and other runs skip."""
    found = find_chromium()
    if found is None and os.environ.get("CI"):
        pytest.fail("Chromium is missing; scripts/test installs it.")
    if found is None:
        pytest.skip("Chromium is missing: apt-get install chromium")
    return found


def plain_launch(*flags: str) -> dict[str, Any]:
    """What Playwright's ``launch`` is told for a browser whose rules are a person's."""
    return {
        "executable_path": require_chromium(),
        "headless": True,
        "args": [*FLAGS, *flags],
        "ignore_default_args": ["--headless", "--mute-audio"],
    }


def unattended_launch(microphone: Path, *flags: str) -> dict[str, Any]:
    """The same for one that allows everything and whose microphone plays the file once."""
    return plain_launch(
        *UNATTENDED, f"--use-file-for-fake-audio-capture={microphone}%noloop", *flags
    )
