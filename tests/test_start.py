"""What a server asks of its machine before it opens anything."""

from __future__ import annotations

import subprocess
import sys

import pytest

ASK = """
import resource, sys
soft, hard = int(sys.argv[1]), int(sys.argv[2])
resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
from parley.start import allow_many_files
allow_many_files()
print(*resource.getrlimit(resource.RLIMIT_NOFILE))
"""


@pytest.mark.parametrize(("soft", "hard"), [(256, 1500), (1500, 1500)])
def test_a_server_may_hold_as_many_sockets_as_its_machine_permits(soft: int, hard: int) -> None:
    command = [sys.executable, "-c", ASK, str(soft), str(hard)]

    asked = subprocess.run(command, capture_output=True, text=True)

    assert asked.stdout.split() == ["1500", "1500"], asked.stderr
