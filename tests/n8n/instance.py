"""One running n8n with our nodes, our workflows and credentials made up for the test."""

from __future__ import annotations

import asyncio
import json
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from parley.tools.webhook.signing import HEADER, sign
from tests.n8n.installation import ROOT, Installation
from tests.n8n.process import Process

WORKFLOWS = ROOT / "deploy/n8n/workflows"
# Longer than a process of n8n takes to start, and shorter than a test may take.
PATIENCE_S = 100
TABLES = {"parley_appointments", "parley_errors"}
PASSWORD = "Parley-test-1"
OWNER = "owner@example.test"
# What of n8n a tool server doesn't need; some of it would ask the internet.
_WITHOUT = (
    "mcp-registry,instance-ai,agents,chat-hub,workflow-builder,insights,breaking-changes,"
    "quick-connect,external-secrets,source-control,ldap,sso-oidc,sso-saml,log-streaming,"
    "provisioning,token-exchange,dynamic-credentials,workflow-reviews,favorites"
)


@dataclass
class Secrets:
    """What both sides know."""

    signing: str = field(default_factory=lambda: secrets.token_hex(16))
    mcp: str = field(default_factory=lambda: secrets.token_hex(16))
    header: str = field(default_factory=lambda: secrets.token_hex(16))


@dataclass
class Answer:
    """What came back of a tool, and how long it took."""

    status: int
    body: dict[str, Any]
    took_ms: float

    @property
    def result(self) -> dict[str, Any]:
        assert self.body["ok"], self.body
        return self.body["result"]

    @property
    def error(self) -> str:
        assert not self.body["ok"], self.body
        return self.body["error"]["code"]


class N8n:
    """A running n8n. ``call`` uses a tool as Parley does."""

    def __init__(
        self, installation: Installation, folder: Path, settings: Mapping[str, str] | None = None
    ) -> None:
        self.installation = installation
        self.folder = folder
        self.secrets = Secrets()
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self.api_key = ""
        self._environment = {**self._make_environment(), **(settings or {}), **of_its_own(port)}
        self._main = self._process("start", self._environment, self.url)

    async def prepare(self, parley_url: str = "http://127.0.0.1:9", parley_key: str = "") -> None:
        """Give it its nodes, credentials and workflows; it is not running yet."""
        self.installation.add_nodes(self.folder)
        await self.set_credentials(parley_url, parley_key)
        made = [json.loads(file.read_text()) for file in sorted(WORKFLOWS.glob("*.json"))]
        await self._cli("import:workflow", "all.json", made)

    async def set_credentials(self, parley_url: str, parley_key: str) -> None:
        given = self.secrets
        await self._cli("import:credentials", "credentials.json", [
            _credential("parleyApi0000001", "Parley", "parleyApi", {
                "baseUrl": parley_url, "apiKey": parley_key, "signingSecret": given.signing,
            }),
            _credential("parleyBearer0001", "MCP", "httpBearerAuth", {"token": given.mcp}),
            _credential("parleyHeader0001", "Header", "httpHeaderAuth", {
                "name": "X-Agent-Key", "value": given.header,
            }),
        ])  # fmt: skip

    async def add_credential(self, kind: str, data: Mapping[str, str]) -> None:
        """Import another one under the id that the shipped workflows name."""
        key = {"httpBasicAuth": "parleyCalDav0001"}[kind]
        await self._cli("import:credentials", "more.json", [_credential(key, kind, kind, data)])

    async def start(self) -> None:
        await self._main.start()

    async def stop(self, how: int = signal.SIGTERM) -> None:
        await self._main.stop(how)

    async def set_up(self) -> None:
        """Make an API key, run the set-up workflow and publish the others, as a person would."""
        async with httpx.AsyncClient(
            base_url=self.url, headers={"browser-id": "test"}, timeout=30
        ) as page:
            login = {"emailOrLdapLoginId": OWNER, "password": PASSWORD}
            (await page.post("/rest/login", json=login)).raise_for_status()
            scopes = (await page.get("/rest/api-keys/scopes")).json()["data"]
            wish = {"label": "test", "expiresAt": None, "scopes": scopes}
            made = (await page.post("/rest/api-keys", json=wish)).raise_for_status()
            self.api_key = made.json()["data"]["rawApiKey"]
            setup = (await page.get("/rest/workflows/parleySetup00001")).json()["data"]
            run = {"workflowData": setup, "triggerToStartFrom": {"name": "Run me once"}}
            answer = await page.post("/rest/workflows/parleySetup00001/run", json=run)
            answer.raise_for_status()
        async with self.api() as api:
            for _ in range(300):
                tables = await self._tables(api)
                if tables.keys() == TABLES:
                    break
                await asyncio.sleep(0.2)
            assert tables.keys() == TABLES, await self.errors()
            for workflow in (await api.get("/workflows")).json()["data"]:
                if workflow["id"] != "parleySetup00001":
                    await self.publish(workflow["id"])

    async def publish(self, workflow_id: str) -> None:
        async with self.api() as api:
            (await api.post(f"/workflows/{workflow_id}/publish")).raise_for_status()

    async def unpublish(self, workflow_id: str) -> None:
        async with self.api() as api:
            (await api.post(f"/workflows/{workflow_id}/unpublish")).raise_for_status()

    async def add_workflow(self, made: Mapping[str, Any]) -> str:
        """Create and publish a workflow; gives its id."""
        wanted = {key: made[key] for key in ("name", "nodes", "connections", "settings")}
        async with self.api() as api:
            created = (await api.post("/workflows", json=wanted)).raise_for_status().json()
        await self.publish(created["id"])
        return created["id"]

    async def tag(self, workflow_id: str) -> None:
        """Make it one that Parley looks for."""
        async with self.api() as api:
            tags = (await api.get("/tags")).json()["data"]
            ours = [{"id": each["id"]} for each in tags if each["name"] == "parley-tool"]
            (await api.put(f"/workflows/{workflow_id}/tags", json=ours)).raise_for_status()

    async def rows(self) -> list[dict[str, Any]]:
        """Every row of the table of appointments."""
        async with self.api() as api:
            table = (await self._tables(api))["parley_appointments"]
            found: list[dict[str, Any]] = []
            cursor = ""
            while True:
                query = {"limit": 100} | ({"cursor": cursor} if cursor else {})
                page = (await api.get(f"/data-tables/{table}/rows", params=query)).json()
                found += page["data"]
                cursor = page.get("nextCursor") or ""
                if not cursor:
                    return found

    async def errors(self) -> list[dict[str, Any]]:
        async with self.api() as api:
            failed = await api.get("/executions", params={"status": "error", "limit": 20})
        return failed.json()["data"]

    async def row_of(self, table: str, column: str, value: str) -> dict[str, Any]:
        """The row with that value, which is on its way."""
        async with self.api() as api, asyncio.timeout(30):
            path = f"/data-tables/{(await self._tables(api))[table]}/rows"
            while True:
                for row in (await api.get(path)).json()["data"]:
                    if row[column] == value:
                        return row
                await asyncio.sleep(0.5)

    async def call(self, tool: str, key: str = "", *, hook: str = "", **args: Any) -> Answer:
        """Use a tool by its signed trigger."""
        body = json.dumps(envelope(tool, args, key)).encode()
        signature = sign(self.secrets.signing, body)
        path = f"/webhook/{hook or hook_of(tool)}/tool"
        return await self.post(path, body, {HEADER: signature})

    async def call_until_answered(self, tool: str, key: str, **args: Any) -> Answer:
        """Use a tool, and ask again for what n8n gave up: on a busy machine a run may take longer
        than its time limit."""
        for _ in range(5):
            answer = await self.call(tool, key, **args)
            if "ok" in answer.body:
                return answer
        raise AssertionError(f"{tool} was not answered five times")

    async def post(self, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        began_s = time.monotonic()
        async with httpx.AsyncClient(base_url=self.hook_url(), timeout=PATIENCE_S) as http:
            answer = await http.post(
                path, content=body, headers={"Content-Type": "application/json", **headers}
            )
        took_ms = (time.monotonic() - began_s) * 1000
        return Answer(answer.status_code, answer.json() if answer.content else {}, took_ms)

    def hook_url(self) -> str:
        """Where the next request to a webhook goes."""
        return self.url

    def api(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"{self.url}/api/v1", headers={"X-N8N-API-KEY": self.api_key}, timeout=30
        )

    async def _tables(self, api: httpx.AsyncClient) -> dict[str, str]:
        """The tables of our workflows: each name with its id."""
        listed = (await api.get("/data-tables")).json()["data"]
        return {each["name"]: each["id"] for each in listed}

    async def _cli(self, verb: str, name: str, content: Any) -> None:
        file = self.folder / name
        file.write_text(json.dumps(content))
        process = await asyncio.create_subprocess_exec(
            self.installation.node,
            self.installation.n8n,
            verb,
            f"--input={file}",
            env=self._environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await process.communicate()
        assert process.returncode == 0, said.decode(errors="replace")[-2000:]

    def _make_environment(self) -> dict[str, str]:
        off = dict.fromkeys(
            ("DIAGNOSTICS", "VERSION_NOTIFICATIONS", "VERSION_NOTIFICATIONS_WHATS_NEW",
             "TEMPLATES", "DYNAMIC_BANNERS", "HIRING_BANNER", "PERSONALIZATION",
             "LICENSE_AUTO_RENEW", "PYTHON"),
            "false",
        )  # fmt: skip
        return {
            **self.installation.environment(),
            **{f"N8N_{name}_ENABLED": value for name, value in off.items()},
            "N8N_USER_FOLDER": str(self.folder),
            "N8N_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_HOST": "127.0.0.1",
            "N8N_RUNNERS_BROKER_LISTEN_ADDRESS": "127.0.0.1",
            "N8N_ENCRYPTION_KEY": secrets.token_hex(16),
            "N8N_COMMUNITY_PACKAGES_ENABLED": "true",
            "N8N_SECURE_COOKIE": "false",
            "N8N_EXPRESSION_ENGINE_POOL_SIZE": "4",
            "N8N_DISABLED_MODULES": _WITHOUT,
            "GENERIC_TIMEZONE": "UTC",
            "NODE_ENV": "production",
            "N8N_INSTANCE_OWNER_MANAGED_BY_ENV": "true",
            "N8N_INSTANCE_OWNER_EMAIL": OWNER,
            "N8N_INSTANCE_OWNER_FIRST_NAME": "Ada",
            "N8N_INSTANCE_OWNER_LAST_NAME": "Byron",
            "N8N_INSTANCE_OWNER_PASSWORD_HASH": self._password_hash(),
        }

    def _process(self, verb: str, environment: Mapping[str, str], url: str) -> Process:
        log = self.folder / f"{verb}.log"
        return Process(self.installation, verb, environment, log, url)

    def _password_hash(self) -> str:
        code = f"console.log(require('bcryptjs').hashSync({PASSWORD!r}, 6))"
        done = subprocess.run(
            [self.installation.node, "-e", code],
            cwd=self.installation.place / "app",
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()


@asynccontextmanager
async def running(n8n: N8n) -> AsyncIterator[N8n]:
    """Prepare it, start it, set it up, and stop it afterwards."""
    await n8n.prepare()
    try:
        await n8n.start()
        await n8n.set_up()
        yield n8n
    finally:
        await n8n.stop()


@asynccontextmanager
async def running_n8n(installation: Installation, folder: Path) -> AsyncIterator[N8n]:
    async with running(N8n(installation, folder)) as n8n:
        yield n8n


def envelope(tool: str, args: Mapping[str, Any], key: str = "") -> dict[str, Any]:
    """What Parley sends to a tool."""
    return {
        "version": 1,
        "run_id": f"run_{secrets.token_hex(16)}",
        "call_id": "call_test",
        "session_id": "call_test",
        "tenant": "default",
        "agent": "receptionist",
        "tool": tool,
        "deadline_ms": 10_000,
        "locale": "en",
        "timezone": "Europe/London",
        "idempotency_key": key or secrets.token_hex(32),
        "callback_url": "",
        "args": dict(args),
    }


def of_its_own(port: int) -> dict[str, str]:
    """What each process must have for itself."""
    return {"N8N_PORT": str(port), "N8N_RUNNERS_BROKER_PORT": str(free_port())}


def hook_of(tool: str) -> str:
    """The name of a tool's address."""
    made = json.loads((WORKFLOWS / f"{tool}.json").read_text())
    return next(node["webhookId"] for node in made["nodes"] if node["type"].endswith("parleyTool"))


def _credential(key: str, name: str, kind: str, data: Mapping[str, str]) -> dict[str, Any]:
    return {"id": key, "name": name, "type": kind, "data": dict(data)}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
