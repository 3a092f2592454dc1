"""OpenSIPS as somebody has built it: what a prefix must hold, and how to fill one."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PLACES = "TEST_OPENSIPS"
"""The environment variable that names the prefixes, as PATH names folders."""

WITHOUT = (
    "no OpenSIPS is named, and Debian 12 has no package of one; scripts/test-opensips runs this"
)
# Those of deploy/opensips. proto_udp is part of the program.
MODULES = (
    *("signaling", "sl", "tm", "rr", "maxfwd", "sipmsgops"),
    *("mi_datagram", "event_datagram", "b2b_entities", "db_text", "dispatcher"),
)
HOW_TO_BUILD = """\
No OpenSIPS is here to be tested. Name the prefix of one that is installed:

  scripts/test-opensips --opensips /usr --opensips /tmp/opensips-3.4.18

or build one, which takes a few minutes; any tag from 3.4 on will do:

  apt-get install git gcc make flex bison libncurses-dev
  git clone --depth 1 --branch {tag} https://github.com/OpenSIPS/opensips /tmp/opensips-source
  cd /tmp/opensips-source
  make install-app install-modules prefix=/tmp/opensips-{tag} \\
    modules="{modules}"
""".format(tag="3.6.8", modules=" ".join(f"modules/{name}" for name in MODULES))

_VERSION = re.compile(r"^version: opensips (\d+)\.(\d+)\.(\S+)", re.M)


@dataclass(frozen=True)
class Build:
    """What was installed below ``prefix``."""

    prefix: Path

    @property
    def program(self) -> Path:
        return self.prefix / "sbin/opensips"

    @property
    def modules(self) -> Path:
        """The folder of its modules; the first that one may have where there is none."""
        places = ["lib64", "lib", "lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"]
        folders = [self.prefix / place / "opensips/modules" for place in places]
        return next((folder for folder in folders if folder.is_dir()), folders[0])

    def missing(self) -> list[str]:
        """What the two configurations need and isn't here."""
        parts = [self.program, *(self.modules / f"{name}.so" for name in MODULES)]
        return [part.name for part in parts if not part.exists()]

    @property
    def version(self) -> str:
        """As it says itself."""
        return ".".join(_said(self.program))

    @property
    def series(self) -> tuple[int, int]:
        major, minor, _ = _said(self.program)
        return int(major), int(minor)


def _said(program: Path) -> Sequence[str]:
    told = subprocess.run([program, "-V"], capture_output=True, text=True, check=True).stdout
    found = _VERSION.search(told)
    assert found is not None, told
    return found.groups()


def named_builds() -> list[Build]:
    return [Build(Path(place)) for place in os.environ.get(PLACES, "").split(os.pathsep) if place]
