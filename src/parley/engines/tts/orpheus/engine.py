"""Orpheus: a language model that writes speech, served elsewhere; its sound is decoded here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import numpy as np
import onnxruntime

from parley.core.audio import Audio
from parley.core.errors import EngineUnavailable, ModelMissing, ParleyError
from parley.engines.model_files import KeepsFiles, ModelFiles
from parley.engines.remote.hub import HubModel
from parley.engines.remote.instances import Instances
from parley.engines.remote.standing import standing
from parley.engines.resources import Demand, LocalOptions, Share
from parley.engines.spec import EngineSpec, SpeechOptions, Status, Voice
from parley.engines.tts.orpheus.batch import CodecPlace, DecoderThread
from parley.engines.tts.orpheus.codes import RATE_HZ, SLOTS
from parley.engines.tts.orpheus.llama_cpp import LlamaCppTalker
from parley.engines.tts.orpheus.manner import manner_of
from parley.engines.tts.orpheus.ollama import OllamaTalker
from parley.engines.tts.orpheus.options import OrpheusOptions
from parley.engines.tts.orpheus.prompt import LocalTokens
from parley.engines.tts.orpheus.reading import Reading, Stage
from parley.engines.tts.orpheus.script import TAGS, Speech, parts_of
from parley.engines.tts.orpheus.speed import TimeStretch
from parley.engines.tts.orpheus.take import CHATS, CHATS_HINT, WindowSetup, speaks
from parley.engines.tts.orpheus.talker import HttpTalker, Sampling, Talker, TalkerSetup, TalkRequest
from parley.engines.tts.orpheus.vllm import TextTalker, VllmTalker
from parley.engines.tts.orpheus.voices import PUBLISHED, VoiceBook, languages_of
from parley.engines.tts.orpheus.window import Sound

SNAC = "snac"
SNAC_FILE = "onnx/decoder_model.onnx"
SNAC_SOURCE = HubModel("onnx-community/snac_24khz-ONNX", (SNAC_FILE,), 52_000_000)
SNAC_GPU_MB = 400
WARM_FRAMES = 6
PROBE_TOKENS = 10
TALKERS: dict[str, type[HttpTalker]] = {
    "vllm": VllmTalker,
    "llama_cpp": LlamaCppTalker,
    "ollama": OllamaTalker,
    "text": TextTalker,
}


class OrpheusSpeech(KeepsFiles):
    """Implements ``Synthesizer``, ``TagPerformer``, ``ModelKeeper`` and ``UsesResources``."""

    tags = TAGS

    def __init__(self, options: OrpheusOptions) -> None:
        if options.base_url is None:
            raise EngineUnavailable(
                "Orpheus has no talker.",
                hint="Set PARLEY_ORPHEUS_BASE_URL, for example http://localhost:8001, and "
                "PARLEY_ORPHEUS_BACKEND to what answers there.",
            )
        self._options = options
        folder = options.data_dir / "models" / "orpheus"
        super().__init__(ModelFiles("orpheus", folder, {SNAC: SNAC_SOURCE}, (SNAC_FILE,)))
        languages = options.languages or languages_of(options.model)
        self._voices = VoiceBook(languages, options.voices, options.aliases)
        self._setup = TalkerSetup(
            model=options.model,
            api_key=options.api_key.get_secret_value(),
            token_timeout_s=options.token_timeout_s,
            tokens=LocalTokens(options.tokenizer) if options.tokenizer else None,
        )
        self._talkers: Instances[Talker] = Instances(options.base_url, self._connect, _disconnect)
        self._has_spoken: set[Talker] = set()
        self._decoder: DecoderThread | None = None
        self._share: Share | None = None
        self._texts = 0

    # ── speaking ─────────────────────────────────────────────────────────────────────────────

    async def synthesize(self, text: str, options: SpeechOptions) -> AsyncGenerator[Audio]:
        """The text as sound of 24 kHz while the model writes it.

        ``<laugh>`` and the like are acted out, ``<break time="1s"/>`` is a pause; ``pitch`` is the
        voice's own. Raises ``NotFound`` for a voice or language that the checkpoint hasn't got.
        """
        voices = self._voices.seen_by(options.tenant)
        speaker = voices.find(options.voice, options.language, self._options.voice)
        manner = manner_of(speaker, self._sampling(), options)
        parts = parts_of(text, self.tags)
        if not any(isinstance(part, Speech) for part in parts):
            return
        if self._texts >= self._options.max_concurrent:
            raise EngineUnavailable(
                f"Orpheus speaks {self._texts} texts already.",
                hint="Raise max_concurrent if its servers can write more tokens.",
                retry_after_s=1,
            )
        self._texts += 1
        try:
            stretch = TimeStretch(manner.speed)
            async with aclosing(Reading(self._stage(), manner, parts).sound()) as sounds:
                async for sound in sounds:
                    stretched = stretch.push(sound)
                    if len(stretched):
                        yield Audio(pcm_of(stretched * manner.volume), RATE_HZ)
            rest = stretch.flush()
            if len(rest):
                yield Audio(pcm_of(rest * manner.volume), RATE_HZ)
        finally:
            self._texts -= 1

    def voices(self) -> Sequence[Voice]:
        return self._voices.listed()

    def _sampling(self) -> Sampling:
        options = self._options
        return Sampling(
            temperature=options.temperature,
            top_p=options.top_p,
            repetition_penalty=options.repetition_penalty,
            min_tokens=options.min_tokens,
            max_tokens=options.max_tokens,
        )

    def _stage(self) -> Stage:
        options = self._options
        first = options.first_look_ahead
        window = WindowSetup(
            options.look_ahead,
            options.look_ahead if first is None else first,
            options.max_resyncs,
        )
        return Stage(
            talkers=self._talkers,
            decoder=self._opened(),
            window=window,
            max_silence_ms=options.max_silence_ms,
            seed=options.seed,
        )

    # ── readiness ────────────────────────────────────────────────────────────────────────────

    async def warm_up(self) -> None:
        """Load the decoder and decode once. Raises ``ModelMissing`` or ``EngineUnavailable``."""
        await self._opened().decode(np.zeros((WARM_FRAMES, SLOTS), np.int64))

    async def check(self) -> Status:
        """Ask every server for a few tokens, until it has once answered with audio."""
        try:
            self._snac_file()
            self._voices.find("", "", self._options.voice)
        except ModelMissing as error:
            return Status(False, error.message, error.hint, error.model)
        except ParleyError as error:
            return Status(False, error.message, error.hint)
        return await standing(self._talkers.all, self._state)

    async def _state(self, talker: Talker) -> Status:
        speaker = self._voices.find("", "", self._options.voice)
        # Whose voice it is need not be whose question this is.
        voice = "a voice of one's own" if speaker.own else f"voice {speaker.name}"
        told = f"{voice}, {self._options.backend}"
        if talker in self._has_spoken:
            await talker.ping()
            return Status(True, told)
        sampling = Sampling(min_tokens=0, max_tokens=PROBE_TOKENS)
        own = speaker.own.model if speaker.own else ""
        if not await speaks(talker, TalkRequest(f"{speaker.name}: Hello.", sampling, own)):
            return Status(False, f"it is the wrong model or template: {CHATS}", CHATS_HINT)
        self._has_spoken.add(talker)
        return Status(True, told)

    async def close(self) -> None:
        await self._talkers.close()
        decoder, self._decoder = self._decoder, None
        if decoder is not None:
            await asyncio.to_thread(decoder.release)

    def _connect(self, url: str) -> Talker:
        return TALKERS[self._options.backend](url, self._setup)

    def _opened(self) -> DecoderThread:
        if self._decoder is None:
            threads = self._options.snac_threads or (self._share.threads if self._share else 1)
            place = CodecPlace(self._snac_file(), self._options.snac_device, threads)
            self._decoder = DecoderThread.share(place)
        return self._decoder

    def _snac_file(self) -> Path:
        """Raises ``ModelMissing`` or ``EngineUnavailable`` when there is none."""
        named = self._options.snac
        if named is not None:
            if not named.exists():
                raise EngineUnavailable(
                    f"There is no SNAC decoder at {named}.", hint="Correct the option snac."
                )
            return named
        if not self._files.has(SNAC):
            raise ModelMissing(
                "Orpheus has no SNAC decoder on this machine.",
                model=SNAC,
                hint=f"Fetch it (52 MB): {self._files.pull_command(SNAC)}",
            )
        return self._files.path(SNAC) / SNAC_FILE

    # ── the decoder's share of the machine ───────────────────────────────────────────────────

    def demand(self) -> Demand:
        options = LocalOptions.model_validate(
            {"device": self._options.snac_device, "threads": self._options.snac_threads}
        )
        has_cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
        gpu_mb = SNAC_GPU_MB if has_cuda else 0
        return Demand("orpheus", 1, options, gpu_mb, threads_per_worker=2, most_workers=1)

    def take(self, share: Share) -> None:
        self._share = share

    @property
    def share(self) -> Share | None:
        return self._share


def pcm_of(sound: Sound) -> bytes:
    """s16le."""
    return np.rint(np.clip(sound, -1.0, 1.0) * 32767).astype("<i2").tobytes()


async def _disconnect(talker: Talker) -> None:
    await talker.close()


def _is_available(options: OrpheusOptions) -> bool:
    return options.base_url is not None


def _is_model(value: str) -> bool:
    return "orpheus" in value.lower()


def _is_voice(value: str) -> bool:
    return any(value.strip().lower() in names for names in PUBLISHED.values())


SPEC: EngineSpec[OrpheusSpeech] = EngineSpec(
    kind="tts",
    name="orpheus",
    options=OrpheusOptions,
    open=OrpheusSpeech,
    summary="Orpheus, a talking Llama on vLLM, llama.cpp or Ollama: 24 kHz, laughs and sighs.",
    available=_is_available,
    environment={
        "base_url": "PARLEY_ORPHEUS_BASE_URL",
        "backend": "PARLEY_ORPHEUS_BACKEND",
        "api_key": "PARLEY_ORPHEUS_API_KEY",
        "languages": "PARLEY_ORPHEUS_LANGUAGES",
        "snac": "PARLEY_ORPHEUS_SNAC",
        "tokenizer": "PARLEY_ORPHEUS_TOKENIZER",
        "data_dir": "PARLEY_DATA_DIR",
        "model": "TTS_MODEL",
        "voice": "TTS_VOICE",
    },
    owns_model=_is_model,
    owns_voice=_is_voice,
)
