"""The agents' folders: who is found, and what edits do while calls go on."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from parley.agents.catalog import AgentCatalog
from parley.agents.reading import AgentDefaults
from parley.agents.schema import Agent
from parley.core.errors import BadAgent, BadSettings, EngineUnavailable, NotFound

DEFAULTS = AgentDefaults(name="desk")


def write(folder: Path, name: str, text: str) -> None:
    """Replace the file in one step, as editors do."""
    folder.mkdir(exist_ok=True)
    fresh = folder / f".{name}.fresh"
    fresh.write_text(text)
    fresh.replace(folder / f"{name}.yaml")


async def content(agent: Agent) -> None:
    """Whoever prepares agents has nothing to say against this one."""


def loaded(*folders: Path, defaults: AgentDefaults = DEFAULTS) -> AgentCatalog:
    catalog = AgentCatalog(folders, defaults)
    catalog.load()
    return catalog


def test_agents_are_found_by_name_and_the_default_one_without(tmp_path: Path) -> None:
    write(tmp_path, "desk", "title: Desk\n")
    write(tmp_path, "ada", "title: Ada\n")

    catalog = loaded(tmp_path)

    assert catalog.get("ada").title == "Ada"
    assert catalog.get().title == "Desk"
    assert [agent.name for agent in catalog.all()] == ["desk", "ada"]


def test_an_unknown_agent_is_not_found_and_the_nearest_is_named(tmp_path: Path) -> None:
    write(tmp_path, "desk", "title: Desk\n")

    with pytest.raises(NotFound, match="Did you mean desk"):
        loaded(tmp_path).get("dsek")


def test_ones_own_file_takes_the_place_of_the_shipped_one(tmp_path: Path) -> None:
    write(tmp_path / "own", "desk", "title: Mine\n")
    write(tmp_path / "shipped", "desk", "title: Theirs\n")

    catalog = loaded(tmp_path / "own", tmp_path / "shipped")

    assert catalog.get().title == "Mine"


def test_files_that_are_no_agents_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "desk", "title: Desk\n")
    write(tmp_path, "_draft", "nonsense\n")
    (tmp_path / "notes.txt").write_text("x")
    write(tmp_path / "scripts", "talk", "intents: []\n")

    assert [agent.name for agent in loaded(tmp_path).all()] == ["desk"]


def test_with_no_file_at_all_somebody_still_answers(tmp_path: Path) -> None:
    assert loaded(tmp_path / "nowhere").get().name == "desk"


def test_a_chosen_default_agent_that_does_not_exist_stops_the_start(tmp_path: Path) -> None:
    write(tmp_path, "desk", "title: Desk\n")

    with pytest.raises(BadSettings, match=r"PARLEY_AGENT=dsek.*Did you mean desk"):
        loaded(tmp_path, defaults=AgentDefaults(name="dsek", must_exist=True))


def test_a_broken_default_agent_stops_the_start_and_another_broken_one_does_not(
    tmp_path: Path,
) -> None:
    write(tmp_path, "ada", "titel: Ada\n")
    write(tmp_path, "desk", "title: Desk\n")
    catalog = AgentCatalog([tmp_path], DEFAULTS)

    problems = catalog.load()
    write(tmp_path, "desk", "titel: Desk\n")

    assert [problem.file.stem for problem in problems] == ["ada"]
    assert [agent.name for agent in catalog.all()] == ["desk"]
    with pytest.raises(BadAgent, match=r"desk\.yaml:1: "):
        loaded(tmp_path)


async def test_an_edit_reaches_the_next_call_and_not_the_one_going_on(tmp_path: Path) -> None:
    write(tmp_path, "desk", "title: Before\n")
    catalog = loaded(tmp_path)
    in_the_call = catalog.get()

    write(tmp_path, "desk", "title: After\n")
    await catalog.reload(content)

    assert in_the_call.title == "Before"
    assert catalog.get().title == "After"


async def test_an_edit_that_changes_nothing_leaves_the_very_same_agent(tmp_path: Path) -> None:
    write(tmp_path, "desk", "title: Desk\n")
    catalog = loaded(tmp_path)
    before = catalog.get()

    write(tmp_path, "desk", "title: Desk # a remark\n")
    await catalog.reload(refuse)

    assert catalog.get() is before


async def test_a_broken_edit_keeps_the_last_good_version_and_is_logged_once_with_its_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "desk", "title: Good\n")
    catalog = loaded(tmp_path)

    write(tmp_path, "desk", "title: Bad\nvoise: x\n")
    await catalog.reload(content)
    await catalog.reload(content)

    logged = caplog.text + capsys.readouterr().out
    assert catalog.get().title == "Good"
    assert logged.count("desk.yaml:2: voise is not known. Did you mean voice?") == 1


async def test_a_mended_file_comes_into_force(tmp_path: Path) -> None:
    write(tmp_path, "desk", "title: Good\n")
    catalog = loaded(tmp_path)
    write(tmp_path, "desk", "title: [\n")
    await catalog.reload(content)

    write(tmp_path, "desk", "title: Mended\n")
    await catalog.reload(content)

    assert catalog.get().title == "Mended"


async def test_files_that_come_and_go_are_agents_that_come_and_go(tmp_path: Path) -> None:
    write(tmp_path, "desk", "title: Desk\n")
    catalog = loaded(tmp_path)

    write(tmp_path, "ada", "title: Ada\n")
    await catalog.reload(content)
    came = catalog.get("ada")
    (tmp_path / "ada.yaml").unlink()
    (tmp_path / "desk.yaml").unlink()
    await catalog.reload(content)

    assert came.title == "Ada"
    assert [(agent.name, agent.title) for agent in catalog.all()] == [("desk", "")]


async def test_when_ones_own_file_goes_the_shipped_agent_is_back(tmp_path: Path) -> None:
    write(tmp_path / "own", "desk", "title: Mine\n")
    write(tmp_path / "shipped", "desk", "title: Theirs\n")
    catalog = loaded(tmp_path / "own", tmp_path / "shipped")

    (tmp_path / "own" / "desk.yaml").unlink()
    await catalog.reload(content)

    assert catalog.get().title == "Theirs"


async def test_an_agent_that_cannot_be_prepared_leaves_the_last_good_one(tmp_path: Path) -> None:
    write(tmp_path, "desk", "title: Good\n")
    catalog = loaded(tmp_path)

    write(tmp_path, "desk", "title: Unusable\n")
    await catalog.reload(refuse)

    assert catalog.get().title == "Good"


async def refuse(agent: Agent) -> None:
    raise EngineUnavailable("The engine is away.")


async def test_the_folders_are_followed_until_nobody_wants_that_any_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parley.agents.catalog._LOOK_MS", 200)
    write(tmp_path, "desk", "title: Before\n")
    catalog = loaded(tmp_path)
    prepared: asyncio.Queue[Agent] = asyncio.Queue()

    watching = asyncio.create_task(catalog.watch(prepared.put))
    write(tmp_path, "desk", "title: After\n")
    async with asyncio.timeout(60):
        changed = await prepared.get()
    watching.cancel()
    await asyncio.wait([watching])

    assert changed.title == "After"
    assert watching.cancelled()
