"""One tool at a URL, as an agent's file describes it."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from parley.core.errors import BadRequest, ToolFailed
from parley.core.log import get_logger
from parley.tools.argument_check import checked_arguments
from parley.tools.book import new_run_id
from parley.tools.house import ToolHouse
from parley.tools.masking import secret_values, without
from parley.tools.provider import ProviderContext
from parley.tools.runs import RunState, ToolRun
from parley.tools.spec import Tool, ToolCall
from parley.tools.webhook.envelope import RunAnswer
from parley.tools.webhook.failures import Failure
from parley.tools.webhook.manners import Asked, Outcome
from parley.tools.webhook.options import WebhookOptions
from parley.tools.webhook.use import Use

log = get_logger(__name__)

DEFAULT_TIMEOUT_S = 10.0
# The session's own limit is a little longer: ours ends a run with a better sentence.
_AIR = 1.1
# These would lead elsewhere than into the place that the path has for them.
_NO_PATH = ("", ".", "..")


class WebhookTool:
    """Makes a ``Tool`` of what is known of a URL, and runs it. ``provider`` is the kind of tool
    that it counts as."""

    def __init__(
        self,
        options: WebhookOptions,
        house: ToolHouse,
        context: ProviderContext,
        provider: str = "webhook",
    ) -> None:
        self._options = options
        self._house = house
        self._context = context
        self._provider = provider
        self._within_s = options.timeout_s or DEFAULT_TIMEOUT_S

    def tool(self) -> Tool:
        options = self._options
        made = Tool(
            name=options.name,
            description=options.description,
            run=self.run,
            parameters=options.parameters,
            # What changes something must not stop halfway because the caller said a word.
            interruptible=not options.changes,
            provider=self._provider,
        )
        return options.model_copy(update={"timeout_s": self._within_s * _AIR}).applied_to(made)

    async def run(self, call: ToolCall) -> Any:
        """Raises ``ToolFailed`` with a sentence for the caller, or for the model to mend."""
        options = self._options
        within_s = call.timeout_s / _AIR if call.timeout_s else self._within_s
        until_s = time.monotonic() + within_s
        arguments = checked_arguments(options.parameters, call.arguments)
        for name in options.in_path:
            if arguments[name] in _NO_PATH:
                raise ToolFailed(f"{name} must not be empty.")
        asked = Asked(
            options, self._house, self._context, call, arguments, call.run_id or new_run_id()
        )
        run = self._run_of(asked)
        opened = self._house.runs.open(run, call.progress)
        asked = replace(asked, callback_url=opened.callback_url)
        use = Use(asked, until_s)
        state: RunState = "cancelled"
        error = "cancelled"
        try:
            result: Any = await use.answered(opened)
            if isinstance(result, RunAnswer) and result.ok:
                result = use.result_of(result)
            state, error = "answered", ""
            if isinstance(result, Failure):
                state, error = "failed", result.kind
        finally:
            self._house.runs.close(opened, state, error)
        if isinstance(result, Failure | RunAnswer):
            raise self._failed(use, result, run.secrets, changes=asked.changes)
        return result

    def _run_of(self, asked: Asked) -> ToolRun:
        call = asked.call
        try:
            sent = asked.secrets()
        except BadRequest:
            # Then nothing is sent at all.
            sent = []
        return ToolRun(
            call_id=call.actions.call_id,
            tenant=call.tenant,
            owner=self._context.owner,
            agent=call.agent,
            tool=self._options.name,
            tool_call_id=call.id,
            idempotency_key=call.idempotency_key,
            provider=self._provider,
            id=asked.run_id,
            secrets=(*secret_values(asked.arguments, self._options.parameters), *sent),
        )

    def _failed(
        self, use: Use, outcome: Outcome, secrets: tuple[str, ...], *, changes: bool
    ) -> ToolFailed:
        options = self._options
        if isinstance(outcome, RunAnswer):
            log.info("webhook_declined", tool=options.name, code=outcome.error_code)
            words = outcome.say or outcome.error or Failure("broken", "").sentence(options.name)
            return ToolFailed(use.without_secrets(words))
        log.warning(
            "webhook_failed",
            tool=options.name,
            host=urlsplit(options.url).netloc,
            kind=outcome.kind,
            status=outcome.status,
            detail=without(outcome.detail, secrets),
            says=without(outcome.says, secrets),
        )
        # What our own tools' servers say of an error is meant for whoever set them up.
        told = outcome if options.envelope == "plain" else outcome.unquoted()
        words = told.sentence(options.name, changes=changes)
        return ToolFailed(use.without_secrets(words))
