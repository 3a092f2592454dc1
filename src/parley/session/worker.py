"""The Pipecat worker that runs one call's pipeline, less what a call doesn't need."""

from __future__ import annotations

from pipecat.frames.frames import AudioRawFrame
from pipecat.observers.base_observer import BaseObserver, FrameProcessed, FramePushed
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.pipeline.worker_observer import WorkerObserver
from pipecat.processors.frameworks.rtvi.observer import (
    RTVIFunctionCallReportLevel,
    RTVIObserverParams,
)

INPUT_RATE_HZ = 16_000


class CallWorker(PipelineWorker):
    """Runs one call. Ending an idle call is the session's business, so Pipecat's own idle
    limit (which would end every call of a shared runner) is off."""

    def __init__(
        self,
        pipeline: Pipeline,
        *,
        output_rate_hz: int,
        uses_rtvi: bool,
        observers: list[BaseObserver],
    ) -> None:
        super().__init__(
            pipeline,
            params=PipelineParams(
                audio_in_sample_rate=INPUT_RATE_HZ,
                audio_out_sample_rate=output_rate_hz,
                enable_metrics=True,
                enable_usage_metrics=True,
            ),
            observers=observers,
            idle_timeout_secs=None,
            enable_turn_tracking=False,
            enable_rtvi=uses_rtvi,
            rtvi_observer_params=RTVIObserverParams(
                function_call_report_level={"*": RTVIFunctionCallReportLevel.NAME}
            ),
            cancel_timeout_secs=4.0,
            check_dangling_tasks=False,
        )
        # PipelineWorker builds its own WorkerObserver and takes none; this one differs only in
        # what it lets through.
        observers = self._observer._observers  # pyright: ignore[reportPrivateUsage]
        self._observer = _DeafObserver(observers=observers)


class _DeafObserver(WorkerObserver):
    """Passes everything on to the observers but sound.

    Fifty audio frames a second cross six processors in each direction; none of our observers
    wants them, and queueing them cost 0.6 % of a core per call.
    """

    async def on_push_frame(self, data: FramePushed) -> None:
        if not isinstance(data.frame, AudioRawFrame):
            await super().on_push_frame(data)

    async def on_process_frame(self, data: FrameProcessed) -> None:
        if not isinstance(data.frame, AudioRawFrame):
            await super().on_process_frame(data)
