"""Agents of tenants: in folders of their own, there for their tenant and for nobody else."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from parley.agents.catalog import AgentCatalog
from parley.agents.reading import AgentDefaults
from parley.agents.schema import Agent
from parley.core.errors import BadSettings, NotFound
from tests.agents.test_catalog import content, loaded


def write(folder: Path, name: str, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    fresh = folder / f".{name}.fresh"
    fresh.write_text(text)
    fresh.replace(folder / f"{name}.yaml")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A house with ``desk``; ``acme`` has ``secret`` and its own ``desk``, ``bee`` a ``shop``."""
    write(tmp_path, "desk", "title: Desk\n")
    write(tmp_path / "tenants" / "acme", "secret", "title: Secret\n")
    write(tmp_path / "tenants" / "acme", "desk", "title: Desk of acme\n")
    write(tmp_path / "tenants" / "bee", "shop", "title: Shop\n")
    return tmp_path


def titles(catalog: AgentCatalog, tenant: str) -> list[str]:
    return [agent.title for agent in catalog.of(tenant)]


def test_a_tenant_has_its_own_agents_and_those_of_the_house(folder: Path) -> None:
    catalog = loaded(folder)

    assert titles(catalog, "acme") == ["Desk of acme", "Secret"]
    assert titles(catalog, "bee") == ["Desk", "Shop"]
    assert titles(catalog, "") == titles(catalog, "other") == ["Desk"]


def test_a_tenant_with_agents_of_its_own_is_known(folder: Path) -> None:
    catalog = loaded(folder)

    known = [name for name in ("acme", "bee", "other") if catalog.has_tenant(name)]

    assert known == ["acme", "bee"]


def test_what_another_tenant_has_is_not_there_and_not_hinted_at(folder: Path) -> None:
    catalog = loaded(folder)

    with pytest.raises(NotFound) as caught:
        catalog.get("secret", "bee")

    assert str(caught.value) == str(_unknown(catalog, "secrex", "bee")).replace("secrex", "secret")
    assert "Did you mean secret" in str(_unknown(catalog, "secrex", "acme"))


def _unknown(catalog: AgentCatalog, name: str, tenant: str) -> NotFound:
    with pytest.raises(NotFound) as caught:
        catalog.get(name, tenant)
    return caught.value


def test_a_tenants_own_file_takes_the_place_of_the_houses_default_agent_for_it(
    folder: Path,
) -> None:
    catalog = loaded(folder)

    assert catalog.get("", "acme").title == "Desk of acme"
    assert catalog.get("desk", "acme").title == "Desk of acme"
    assert catalog.get("", "bee").title == "Desk"


def test_the_houses_default_agent_is_the_houses(tmp_path: Path) -> None:
    write(tmp_path / "tenants" / "acme", "front", "title: Front\n")

    with pytest.raises(BadSettings, match="PARLEY_AGENT=front names no agent") as caught:
        loaded(tmp_path, defaults=AgentDefaults(name="front", must_exist=True))

    assert "Did you mean" not in str(caught.value)


def test_the_environments_instructions_are_for_the_houses_default_agent_only(
    folder: Path,
) -> None:
    catalog = loaded(folder, defaults=AgentDefaults(name="desk", instructions="Be brief."))

    assert catalog.get().instructions == "Be brief."
    assert catalog.get("", "acme").instructions != "Be brief."


def test_a_broken_file_of_a_tenants_stops_nobody_and_is_told_with_its_line(folder: Path) -> None:
    write(folder / "tenants" / "acme", "desk", "titel: Desk\n")
    catalog = AgentCatalog([folder], AgentDefaults(name="desk"))

    problems = catalog.load()

    assert [str(problem.file.parent.name) for problem in problems] == ["acme"]
    assert catalog.get("", "acme").title == "Desk"


def test_drafts_other_folders_and_a_tenant_named_like_a_path_are_left_alone(tmp_path: Path) -> None:
    write(tmp_path, "desk", "title: Desk\n")
    write(tmp_path / "tenants" / "_draft", "x", "title: X\n")
    write(tmp_path / "tenants" / "acme" / "tenants" / "inner", "x", "title: X\n")
    write(tmp_path / "scripts", "talk", "intents: []\n")

    catalog = loaded(tmp_path)

    assert [agent.title for agent in catalog.all()] == ["Desk"]
    assert titles(catalog, "../acme") == titles(catalog, "_draft") == ["Desk"]


def test_all_files_are_checked_those_of_tenants_too(folder: Path) -> None:
    files = AgentCatalog([folder], AgentDefaults(name="desk")).files()

    assert {str(file.relative_to(folder.resolve())) for file in files} == {
        "desk.yaml",
        "tenants/acme/desk.yaml",
        "tenants/acme/secret.yaml",
        "tenants/bee/shop.yaml",
    }


async def test_edits_reach_one_tenant_and_a_file_that_goes_gives_the_houses_back(
    folder: Path,
) -> None:
    catalog = loaded(folder)

    write(folder / "tenants" / "acme", "secret", "title: More secret\n")
    (folder / "tenants" / "acme" / "desk.yaml").unlink()
    await catalog.reload(content)

    assert titles(catalog, "acme") == ["Desk", "More secret"]
    assert titles(catalog, "bee") == ["Desk", "Shop"]


async def test_a_new_tenants_folder_is_followed_from_then_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("parley.agents.catalog._LOOK_MS", 200)
    write(tmp_path, "desk", "title: Desk\n")
    catalog = loaded(tmp_path)
    prepared: asyncio.Queue[Agent] = asyncio.Queue()

    watching = asyncio.create_task(catalog.watch(prepared.put))
    async with asyncio.timeout(60):
        write(tmp_path / "tenants" / "acme", "shop", "title: Shop\n")
        came = await prepared.get()
        write(tmp_path / "tenants" / "acme", "shop", "title: Bigger shop\n")
        changed = await prepared.get()
    watching.cancel()
    await asyncio.wait([watching])

    assert (came.tenant, came.title, changed.title) == ("acme", "Shop", "Bigger shop")
