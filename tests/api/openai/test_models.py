"""Models: agents and engines by name, what can be fetched, what is in use."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, tzinfo
from functools import partial
from typing import Any

import openai
import pytest
from openai.types import Model as SdkModel

from parley.agents.catalog import shipped_folder
from parley.agents.reading import AgentDefaults, read_agent
from parley.core.errors import NotFound
from parley.engines.keeper import Model, PullProgress
from parley.engines.llm.scripted.chatter import ScriptedChatter, ScriptedOptions
from parley.engines.spec import EngineOptions, EngineSpec, Status
from parley.testing.engines import FakeChatter
from parley.tools.catalog import ToolCatalog
from parley.tools.spec import Tool, ToolCall
from tests.api.openai.written_house import house_with
from tests.engines.servers.openai_chat import OpenAIChatServer

SAID = (
    "I would like to book an appointment",
    "tomorrow at ten o'clock",
    "My name is Anna",
    "yes please",
    "what are your opening hours",
)
ASK = [{"role": "user", "content": "Hello?"}]


class KeeperOptions(EngineOptions):
    model: str = "small"


class Keeper(FakeChatter):
    """An engine with models on a disk that all objects of it share."""

    disk: set[str]

    def __init__(self, options: KeeperOptions, disk: set[str]) -> None:
        super().__init__(lambda _: f"I am {options.model}.")
        self.disk = disk
        self.model = options.model

    async def check(self) -> Status:
        return Status(self.model in self.disk, missing_model=self.model)

    async def models(self) -> Sequence[Model]:
        return [Model(name, 5, name in self.disk) for name in ("small", "org/large:q4")]

    async def pull(self, model: str) -> AsyncIterator[PullProgress]:
        yield PullProgress(model, 1, 2)
        self.disk.add(model)

    async def remove(self, model: str) -> None:
        if model not in self.disk:
            raise NotFound(f"no {model}")
        self.disk.remove(model)


def keeper_spec(disk: set[str]) -> EngineSpec[Keeper]:
    return EngineSpec(
        kind="llm",
        name="keeper",
        options=KeeperOptions,
        open=lambda options: Keeper(options, disk),
        summary="Keeps models",
        available=lambda _: True,
    )


async def test_agents_and_engines_are_models() -> None:
    specs = [keeper_spec({"small"})]
    async with house_with(extra_specs=specs) as house, house.client() as client:
        page = await client.models.list()
        one = await client.models.retrieve("agent:tester")

    models = {each.id: SdkModel.model_validate(each.to_dict()) for each in page.data}
    assert list(models) == ["agent:tester", "fake", "keeper:small", "scripted"]
    assert models["agent:tester"].owned_by == "parley"
    assert models["keeper:small"].owned_by == "keeper"
    assert one.id == "agent:tester"


async def test_a_model_answers_to_its_own_name_and_to_its_engines_before_it() -> None:
    specs = [keeper_spec({"small", "org/large:q4"})]
    async with house_with(extra_specs=specs) as house, house.client() as client:
        said = [
            (await client.chat.completions.create(model=name, messages=ASK)).choices[0]
            for name in ("keeper", "llm:keeper", "keeper:org/large:q4", "org/large:q4", "small")
        ]

    assert [each.message.content for each in said] == [
        "I am small. ",
        "I am small. ",
        "I am org/large:q4. ",
        "I am org/large:q4. ",
        "I am small. ",
    ]


async def test_a_model_s_slash_survives_the_way() -> None:
    specs = [keeper_spec({"org/large:q4"})]
    async with house_with(extra_specs=specs) as house, house.client() as client:
        one = await client.models.retrieve("keeper:org/large:q4")

    assert one.id == "keeper:org/large:q4"


async def test_a_model_that_nobody_has_is_404() -> None:
    async with house_with() as house, house.client() as client:
        with pytest.raises(openai.NotFoundError) as caught:
            await client.models.retrieve("gpt-9")

    assert caught.value.code == "model_not_found"


async def test_models_are_fetched_listed_and_removed() -> None:
    specs = [keeper_spec({"small"})]
    async with house_with(extra_specs=specs) as house, house.client() as client:
        could_be = await client.get("/registry", cast_to=object)
        fetched = await client.post("/models/keeper:org%2Flarge:q4", cast_to=object)
        after = [each.id for each in (await client.models.list()).data]
        removed = await client.models.delete("keeper:small")
        at_last = [each.id for each in (await client.models.list()).data]

    assert [each["id"] for each in could_be["data"]] == ["keeper:org/large:q4"]
    assert fetched["id"] == "keeper:org/large:q4"
    assert "keeper:org/large:q4" in after
    assert (removed.id, removed.deleted) == ("keeper:small", True)
    assert "keeper:small" not in at_last


async def test_an_agent_can_t_be_removed_as_a_model() -> None:
    async with house_with() as house, house.client() as client:
        with pytest.raises(openai.BadRequestError) as caught:
            await client.models.delete("agent:tester")

    assert "agent" in caught.value.message


async def test_a_task_picks_its_models_and_a_wrong_one_is_refused() -> None:
    async with house_with() as house, house.client() as client:
        speech = await client.get("/models?task=text-to-speech", cast_to=object)
        with pytest.raises(openai.BadRequestError):
            await client.get("/models?task=dancing", cast_to=object)

    assert speech == {"object": "list", "data": []}


async def test_other_names_lead_to_models_and_the_star_catches_the_rest() -> None:
    aliases = {"gpt-4o-mini": "agent:tester", "*": "auto"}
    async with house_with(aliases=aliases) as house, house.client() as client:
        for name in ("gpt-4o-mini", "gpt-9"):
            await client.chat.completions.create(model=name, messages=ASK)
        with pytest.raises(openai.NotFoundError):
            await client.chat.completions.create(model="agent:nobody", messages=ASK)
        listed = [each.id for each in (await client.models.list()).data]

    assert [each[0]["role"] for each in house.llm.asked] == ["system", "user"]
    assert "gpt-4o-mini" in listed and "*" not in listed


async def test_a_server_s_own_model_is_found_by_its_name() -> None:
    async with OpenAIChatServer(models=["m"]) as upstream:
        values = {"OPENAI_BASE_URL": upstream.base_url, "LLM_MODEL": "m"}
        async with house_with(values=values) as house, house.client() as client:
            await client.chat.completions.create(model="m", messages=ASK)

    assert upstream.asked[0]["model"] == "m"


async def test_the_engines_in_use_are_told_and_stay() -> None:
    async with house_with() as house, house.client() as client:
        await client.chat.completions.create(model="fake", messages=ASK)
        root = client.with_options(base_url=house.base_url.removesuffix("/v1"))
        used = await root.get("/api/ps", cast_to=object)
        await root.post("/api/ps/fake", cast_to=object)
        with pytest.raises(openai.NotFoundError):
            await root.post("/api/ps/nothing", cast_to=object)
        with pytest.raises(openai.BadRequestError):
            await root.delete("/api/ps/llm:fake", cast_to=object)

    assert used["models"] == ["llm:fake"]


async def test_the_receptionist_books_once_over_plain_requests() -> None:
    """The shipped agent with the built-in engine: each request sends what was shown so far."""
    agent = read_agent(shipped_folder() / "receptionist.yaml", AgentDefaults()).agent
    assert agent is not None
    used: list[str] = []
    tools = [
        replace(tool, run=partial(note_and_run, used, tool))
        for tool in ToolCatalog(clock=monday_morning).tools_for(agent.tools)
    ]
    talk: list[dict[str, str]] = []
    llm = ScriptedChatter(ScriptedOptions(), monday_morning)
    async with (
        house_with(agent=agent, agent_llm=llm, tools=tools) as house,
        house.client() as client,
    ):
        for words in SAID:
            talk.append({"role": "user", "content": words})
            reply = await client.chat.completions.create(model=f"agent:{agent.name}", messages=talk)
            talk.append({"role": "assistant", "content": reply.choices[0].message.content or ""})

    assert "booked" in talk[7]["content"]
    assert "nine" in talk[9]["content"]
    assert used.count("book_appointment") == 1


def monday_morning(zone: tzinfo | None = None) -> datetime:
    return datetime(2026, 3, 2, 10, 0, tzinfo=zone or UTC)


async def note_and_run(used: list[str], tool: Tool, call: ToolCall) -> Any:
    used.append(tool.name)
    return await tool.run(call)
