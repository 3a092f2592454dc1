"""What comes with Parley is found where it lies."""

from __future__ import annotations

from parley.core.shipped import shipped_folder


def test_the_shipped_agents_and_scripts_are_found():
    folder = shipped_folder()

    assert (folder / "scripts" / "receptionist.yaml").is_file()
    assert (folder / "receptionist.yaml").is_file()
