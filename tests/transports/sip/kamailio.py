"""Kamailio as a proxy in between: it records its route, and relays every call to one place."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from tests.transports.sip.phone import udp_phone
from tests.transports.sip.sipp import require

CONFIGURATION = """
debug=0
log_stderror=yes
children=1
auto_aliases=no
disable_tcp=yes
listen=udp:127.0.0.1:{port}
mpath="/usr/lib/x86_64-linux-gnu/kamailio/modules/:/usr/lib/kamailio/modules/"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
{relay}
request_route {{
    if (!mf_process_maxfwd_header("10")) {{ sl_send_reply("483", "Too Many Hops"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) t_relay(); exit; }}
    if (has_totag()) {{
        if (loose_route()) {{ t_relay(); exit; }}
        if (is_method("ACK") && t_check_trans()) {{ t_relay(); exit; }}
        sl_send_reply("404", "Not Here");
        exit;
    }}
    t_check_trans();
    {guard}
    record_route();
    if ($rU =~ "^(demo|receptionist)$") $du = "sip:127.0.0.1:{target}";
    append_hf("X-Via-Proxy: yes\\r\\n");
    {offer}
    if (!t_relay()) sl_reply_error();
    exit;
}}
{answer}
"""
RELAY = """
loadmodule "rtpengine.so"
modparam("rtpengine", "rtpengine_sock", "udp:127.0.0.1:{port}")
"""
LOCK = """
loadmodule "auth.so"
"""
GUARD = """
    if (!pv_proxy_authenticate("trunk", "{password}", "0")) {{
        auth_challenge("trunk", "1");
        exit;
    }}
    consume_credentials();
"""
OFFER = """if (has_body("application/sdp")) rtpengine_offer("replace-origin");"""
ANSWER = """
onreply_route {
    if (has_body("application/sdp")) rtpengine_answer("replace-origin");
}
"""


@asynccontextmanager
async def kamailio(
    folder: Path, port: int, target: int, *, relay_port: int = 0, password: str = ""
) -> AsyncIterator[None]:
    """A proxy on ``port`` that sends calls for ``demo`` to ``target``.

    With ``relay_port``, where an rtpengine listens for orders, the sound goes through that; with a
    ``password`` whoever calls must have it.
    """
    program = require("kamailio", "kamailio")
    file = folder / "kamailio.cfg"
    relay = {"relay": RELAY.format(port=relay_port), "offer": OFFER, "answer": ANSWER}
    if not relay_port:
        relay = dict.fromkeys(relay, "")
    if password:
        relay["relay"] += LOCK
    guard = GUARD.format(password=password) if password else ""
    file.write_text(CONFIGURATION.format(port=port, target=target, guard=guard, **relay))
    with (folder / "kamailio.log").open("wb") as log:
        running = await asyncio.create_subprocess_exec(
            program,
            *("-DD", "-E", "-f", str(file), "-m", "32", "-M", "4", "-Y", str(folder)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=log,
        )
    try:
        await _answers(port, folder, running)
        yield
    finally:
        if running.returncode is None:
            running.terminate()
        await running.wait()


async def _answers(port: int, folder: Path, running: asyncio.subprocess.Process) -> None:
    """Return once the proxy answers: it refuses what belongs to no call."""
    async with udp_phone(port) as phone, asyncio.timeout(15):
        while phone.inbox.empty():
            assert running.returncode is None, (folder / "kamailio.log").read_text()
            phone.say(phone.compose("OPTIONS", to_tag="nobody"))
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await running.wait()
