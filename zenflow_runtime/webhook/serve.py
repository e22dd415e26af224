"""The webhook as a part of the operator process: its certificate, its server, and what it lacks.

Every replica serves, whoever leads. Trouble with the certificate never stops
the operator: a flow that comes in unchecked is checked when it is decided about.
"""

from __future__ import annotations

from pathlib import Path

import anyio
import structlog

from zenflow_core.settings import DEFAULTS, Settings
from zenflow_runtime.web import serving
from zenflow_runtime.webhook.app import application
from zenflow_runtime.webhook.certificates import LOOK_SECONDS, Certificate, Pair
from zenflow_runtime.webhook.listening import Listening

log = structlog.get_logger("zenflow.webhook")


class Webhook:
    """Make it inside a running event loop, and `run` it beside the operator."""

    def __init__(
        self, listening: Listening, settings: Settings = DEFAULTS, *, look_seconds: float = LOOK_SECONDS
    ) -> None:
        self._listening = listening
        self.certificate = (
            Certificate(Pair(Path(listening.certificate), Path(listening.key)), look_seconds=look_seconds)
            if listening.certificate
            else None
        )
        self._serving = False
        self._app = application(settings, missing=self.missing)

    def missing(self) -> list[str]:
        """What keeps it from answering."""
        if self._serving:
            return []
        trouble = self.certificate.trouble if self.certificate is not None else ""
        return [f"the webhook does not serve yet{f': {trouble}' if trouble else ''}"]

    async def run(self) -> None:
        """Serve until cancelled, from when there is a certificate on. Raises OSError if the address is taken."""
        async with anyio.create_task_group() as tasks:
            if self.certificate is None:
                log.warning("the webhook speaks plain HTTP, which no API server does", port=self._listening.port)
            else:
                tasks.start_soon(self.certificate.watch)
                await self.certificate.ready.wait()
            tls = None if self.certificate is None else self.certificate.context
            async with serving(self._app, self._listening.host, self._listening.port, tls=tls):
                self._serving = True
                log.info("webhook serves", port=self._listening.port)
                try:
                    await anyio.sleep_forever()
                finally:
                    self._serving = False
