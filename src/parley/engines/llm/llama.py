"""Llama 3.2 in this process, on CTranslate2: a language model for a machine that has no server.

Built with Llama. The weights are Meta's, under the Llama 3.2 Community License; CTranslate2 is MIT.
Tool calls come as JSON in the text, as the model writes them. A reply that is closed frees its
worker at the next token.
"""

from __future__ import annotations

import asyncio
import importlib
from collections.abc import AsyncGenerator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, cast
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from parley.core.errors import BadRequest, EngineUnavailable
from parley.core.log import get_logger
from parley.engines.llm.llama_prompt import ENDS, llama_prompt
from parley.engines.llm.llama_text import LlamaTokenizer
from parley.engines.llm.token_queue import TokenQueue
from parley.engines.local import MODELS, LocalEngine, LocalModelOptions, is_installed, load_failure
from parley.engines.model_files import ModelFiles
from parley.engines.remote.hub import HubModel
from parley.engines.resources import Demand, Share
from parley.engines.spec import ChatOptions, Delta, EngineSpec, Message, ToolSchema, Usage

log = get_logger(__name__)

WANTED = (
    "config.json",
    "generation_config.json",
    "model.bin",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocabulary.json",
)
NEEDS = ("config.json", "model.bin", "tokenizer.json")
KNOWN = {
    "1b": HubModel("jncraton/Llama-3.2-1B-Instruct-ct2-int8", WANTED, 1_250_000_000),
    "3b": HubModel("jncraton/Llama-3.2-3B-Instruct-ct2-int8", WANTED, 3_230_000_000),
}
_BY_REPO = {source.repo: name for name, source in KNOWN.items()}
RECOMMENDED = "1b"
SHORTEST_REPLY = 16
MOST_LIKELY = 50
GPU_EXTRA_MB = 1500
"""For what was said so far in the conversations at work, beside the weights."""


class LlamaOptions(LocalModelOptions):
    """``model`` is 1b, 3b, a repository with a CTranslate2 conversion, or a folder."""

    model: str = Field(RECOMMENDED, description="1b, 3b, a repository (owner/name) or a folder.")
    max_tokens: int = Field(512, ge=1, description="The longest reply, in tokens.")
    temperature: float = Field(0.6, ge=0, le=2, description="0 always takes the likeliest word.")
    top_p: float = Field(0.9, gt=0, le=1, description="Words beyond this likelihood are left out.")
    repetition_penalty: float = Field(1.0, ge=1, le=2, description="Above 1: repeats itself less.")
    context_tokens: int = Field(
        8192, ge=256, le=131_072, description="The longest conversation with its reply, in tokens."
    )
    kept_prompts: int = Field(
        8, ge=0, le=256, description="Instructions of agents whose reading is kept in memory."
    )

    @field_validator("model")
    @classmethod
    def _short_name(cls, value: str) -> str:
        return _BY_REPO.get(value, value)


@dataclass(frozen=True, slots=True)
class _Loaded:
    generator: Any
    tokenizer: LlamaTokenizer
    executor: ThreadPoolExecutor


class Llama(LocalEngine[_Loaded]):
    """Implements ``Chatter``, ``ModelKeeper`` and ``UsesResources``."""

    def __init__(self, options: LlamaOptions) -> None:
        files = ModelFiles("llama", options.data_dir / MODELS / "llama", KNOWN, NEEDS, _from_repo)
        super().__init__(options, files, "ctranslate2", "llama")
        self._options = options
        self._kept: dict[tuple[str, ...], str] = {}

    @property
    def max_concurrent(self) -> int:
        """How many requests it serves at a time; the others wait in the queue before it."""
        return self._places()

    def demand(self) -> Demand:
        gpu_mb = self._model_mb() + GPU_EXTRA_MB
        return Demand("llama", 3, self._options, gpu_mb, threads_per_worker=4, most_workers=2)

    def grammar(self) -> str:
        return ""

    async def warm_up(self) -> None:
        """Load the model and let it say one token."""
        hello: list[Message] = [{"role": "user", "content": "Hello."}]
        async for _ in self.chat(hello, [], ChatOptions(max_tokens=1)):
            pass

    async def chat(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema], options: ChatOptions
    ) -> AsyncGenerator[Delta]:
        """Raises ``BadRequest`` for a conversation that is too long, ``EngineUnavailable`` and
        ``ModelMissing`` when the model can't be loaded."""
        loaded = await self._load()
        prompt = llama_prompt(messages, tools, _today(options.time_zone), options.tool_choice)
        steady, turns = loaded.tokenizer.prompt(prompt)
        how = self._how(options, len(steady) + len(turns))
        start = self._start(steady, turns, how, options.tenant)
        queue = TokenQueue(asyncio.get_running_loop())
        work = loaded.executor.submit(_generate, loaded.generator, start, how, queue)
        reader = loaded.tokenizer.reader(options.stop)
        tokens = 0
        try:
            if prompt.reply:
                yield Delta(text=prompt.reply)
            while not reader.has_stopped and (token := await queue.get()) is not None:
                tokens += 1
                if text := reader.push(token):
                    yield Delta(text=text)
        finally:
            queue.close()
            work.cancel()
        if text := reader.finish():
            yield Delta(text=text)
        is_cut = tokens >= how["max_length"] and not reader.has_stopped
        usage = Usage(len(steady) + len(turns), tokens)
        yield Delta(usage=usage, finish="length" if is_cut else "stop")

    def _open(self, folder: Path, share: Share) -> _Loaded:
        return _load(folder, share)

    def _shut(self, loaded: _Loaded) -> None:
        loaded.executor.shutdown(wait=True, cancel_futures=True)

    def _how(self, options: ChatOptions, prompt_tokens: int) -> dict[str, Any]:
        """CTranslate2's arguments. Raises ``BadRequest`` when no reply would fit."""
        ours = self._options
        room = ours.context_tokens - prompt_tokens
        if room < SHORTEST_REPLY:
            raise BadRequest(
                f"The conversation is {prompt_tokens} tokens long; with its reply it may be "
                f"{ours.context_tokens}.",
                hint="Shorten the instructions or the conversation, or raise the engine's "
                "context_tokens.",
            )
        temperature = ours.temperature if options.temperature is None else options.temperature
        return {
            "max_length": min(options.max_tokens or ours.max_tokens, room),
            "sampling_temperature": temperature or 1.0,
            "sampling_topk": MOST_LIKELY if temperature else 1,
            "sampling_topp": ours.top_p if options.top_p is None else options.top_p or 1.0,
            "repetition_penalty": ours.repetition_penalty,
        }

    def _start(
        self, steady: list[str], turns: list[str], how: dict[str, Any], tenant: str
    ) -> list[str]:
        """Where generation starts. What an agent's calls have in common is read only once, for
        each tenant by itself: nobody is answered sooner for having said what another has.

        CTranslate2 never forgets such a beginning, so only the first few are kept.
        """
        key = tuple(steady)
        if key not in self._kept and len(self._kept) >= self._options.kept_prompts:
            return steady + turns
        if self._kept.setdefault(key, tenant) not in ("", tenant):
            return steady + turns
        how["static_prompt"], how["cache_static_prompt"] = steady, True
        return turns


def _today(time_zone: str) -> date:
    try:
        return datetime.now(ZoneInfo(time_zone) if time_zone else None).date()
    except (KeyError, ValueError):  # no such zone: the machine's own day has to do
        return date.today()


def _load(folder: Path, share: Share) -> _Loaded:
    library = cast(Any, importlib.import_module("ctranslate2"))
    try:
        generator = library.Generator(
            str(folder),
            device=share.device,
            device_index=share.device_index,
            compute_type=share.compute_type,
            inter_threads=share.workers,
            intra_threads=share.threads,
        )
    except (RuntimeError, ValueError) as error:
        raise load_failure(folder, error) from error
    executor = ThreadPoolExecutor(share.workers, thread_name_prefix="llama")
    return _Loaded(generator, LlamaTokenizer(folder), executor)


def _generate(generator: Any, start: list[str], how: dict[str, Any], queue: TokenQueue) -> None:
    """Runs in a worker's thread; the interpreter's lock is held only between tokens."""
    try:
        generator.generate_batch(
            [start],
            include_prompt_in_result=False,
            end_token=list(ENDS),
            callback=queue.take_step,
            **how,
        )
    except Exception as error:
        # Whoever reads the queue would wait for ever for an end that isn't told.
        queue.end(EngineUnavailable(f"Llama broke off: {error}"))
    else:
        queue.end()


def _from_repo(repo: str) -> HubModel:
    return HubModel(repo, WANTED)


def _is_available(options: LlamaOptions) -> bool:
    return is_installed("ctranslate2") and Llama(options).has_model


def _is_model(value: str) -> bool:
    """1b and 3b, a folder, or a repository whose name tells a conversion of Llama."""
    name = value.lower()
    return value in KNOWN or ("llama" in name and "ct2" in name)


SPEC: EngineSpec[Llama] = EngineSpec(
    kind="llm",
    name="llama",
    options=LlamaOptions,
    open=Llama,
    summary="Llama 3.2 in this process (CTranslate2). Built with Llama.",
    available=_is_available,
    environment={
        "model": "LLM_MODEL",
        "max_tokens": "LLM_MAX_TOKENS",
        "temperature": "LLM_TEMPERATURE",
        "data_dir": "PARLEY_DATA_DIR",
        "device": "PARLEY_DEVICE",
    },
    owns_model=_is_model,
    is_offline=True,
    recommended=RECOMMENDED,
)
