"""One engine that is open: warmed once, asked how it is, closed whatever it does."""

from __future__ import annotations

import asyncio
from typing import Any

from parley.core.errors import EngineFailed, EngineUnavailable, ParleyError
from parley.core.log import get_logger
from parley.engines.fallback.member import AnyMember, Member
from parley.engines.fallback.places import Places
from parley.engines.fallback.probe import ask_briefly
from parley.engines.found import Spec
from parley.engines.resources import share_of
from parley.engines.spec import EngineOptions, Kind, Status
from parley.engines.speech_cache.cache import SpeechCache
from parley.engines.speech_cache.cached import cached_speech
from parley.engines.wish import Wishes

log = get_logger(__name__)

CHECK_LIMIT_S = 5.0


class Opened:
    """An engine with its options, shared by everybody who wants the same.

    ``is_in_use``: somebody has settled on it or it stands by in a chain. ``why`` is why it was
    chosen to serve, and "" while it only stands by. ``start_failure`` says why it could not be
    warmed, until it could. Chains reach a voice through ``speech``, the cache; a probe must hear
    the engine itself.
    """

    def __init__(
        self, spec: Spec, options: EngineOptions, speech: SpeechCache | None = None
    ) -> None:
        self.spec = spec
        self.options = options
        self.engine: Any = spec.open(options)
        serving = self.engine
        if spec.kind == "tts":
            serving = cached_speech(self.engine, spec.name, options, speech)
        self.member: AnyMember = Member(
            spec.name, serving, probe=self._probe, places=_places(options, self.engine)
        )
        self.why = ""
        self.is_in_use = False
        self.start_failure: Status | None = None
        self._serves: list[Wishes] = []
        self._is_warm = False
        self._warming = asyncio.Lock()

    @property
    def key(self) -> tuple[Kind, str]:
        return self.spec.kind, self.spec.name

    @property
    def room(self) -> str:
        """For the start-up table: its share of this machine, or how many it serves at once."""
        if share := share_of(self.engine):
            return share
        return str(self.member.places.queue) if self.member.places else ""

    def serve(self, wishes: Wishes, why: str) -> None:
        """Serve those who wish so."""
        self.is_in_use = True
        if self._serves in ([], [wishes]):
            self.why = why
        if wishes not in self._serves:
            self._serves.append(wishes)

    def serves_no_more(self, wishes: Wishes) -> None:
        """Somebody else does, from now on."""
        if wishes in self._serves:
            self._serves.remove(wishes)
            self.why = self.why if self._serves else ""

    async def misses(self, model: str) -> bool:
        """Whether the model is what it still lacks."""
        return (await self.status()).missing_model == model

    async def status(self) -> Status:
        """What the engine says of itself; silence and surprises count as no."""
        try:
            async with asyncio.timeout(CHECK_LIMIT_S):
                return await self.engine.check()
        except TimeoutError:
            return Status(False, f"no answer within {CHECK_LIMIT_S:g} s")
        except Exception as error:
            # Any package may bring an engine: what it throws means that it is not well.
            return refusal(error)

    async def warm(self) -> None:
        async with self._warming:
            if self._is_warm:
                return
            try:
                await self.engine.warm_up()
            except ParleyError:
                raise
            except Exception as error:
                # Any package may bring an engine; its own errors become one of ours.
                raise EngineFailed(
                    f"The {self.spec.kind} engine {self.spec.name} can't start: {error}"
                ) from error
            self._is_warm = True
            self.start_failure = None

    async def warm_in_passing(self) -> None:
        """The same for a client's request: an engine that fails it only stands by from then on,
        and keeps no agent from being prepared."""
        try:
            await self.warm()
        except ParleyError as error:
            self.could_not_start(error)
            raise

    def could_not_start(self, error: Exception) -> None:
        """From now on it only stands by, and counts as sick until it comes back."""
        self.why = ""
        self._serves.clear()
        self.start_failure = refusal(error)
        self.member.failed(self.start_failure.detail)

    async def close(self) -> None:
        await self.member.close()
        try:
            await self.engine.close()
        except Exception as error:
            # Any package may bring an engine; the others are still to be closed.
            log.error("engine_close_failed", engine=self.spec.name, error=str(error))

    async def _probe(self) -> None:
        status = await self.status()
        if not status.ok:
            raise EngineUnavailable(status.detail, hint=status.hint)
        await self.warm()
        await ask_briefly(self.spec.kind, self.engine)


def refusal(error: Exception) -> Status:
    """Any package may bring an engine, and one that breaks must not take the house along."""
    if isinstance(error, ParleyError):
        return Status(False, error.message, error.hint)
    return Status(False, f"{type(error).__name__}: {error}")


def _places(options: EngineOptions, engine: Any) -> Places | None:
    """The queue in front of an engine whose options, or who itself, says how many it serves."""
    for holder in (options, engine):
        places = getattr(holder, "max_concurrent", None)
        if isinstance(places, int) and places > 0:
            return Places(places)
    return None
