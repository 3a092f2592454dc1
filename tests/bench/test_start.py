"""How a start is timed, and what of its cost is counted."""

from __future__ import annotations

import sys

import pytest
from bench.server import Server
from bench.start import Start, summarise

# A server that has had a busy child before it answers.
PARENT = """
import http.server, subprocess, sys
subprocess.run([sys.executable, "-c", "sum(range(5_000_000))"], check=True)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), http.server.SimpleHTTPRequestHandler)\\
    .serve_forever()
"""


async def test_a_server_s_cost_includes_the_children_that_have_ended() -> None:
    command = (sys.executable, "-c", PARENT, "{port}")

    async with Server(command, ready_path="/", poll_pause_s=0.01) as server:
        alone_s, all_s = server.cpu_s(), server.family_cpu_s()

    assert server.start_s > 0
    assert all_s > alone_s


def test_the_figures_of_a_start_are_those_of_the_middle_one() -> None:
    starts = [Start(took_s, took_s / 2, took_s, 0.0) for took_s in (9.0, 3.0, 4.0)]

    figures = summarise(starts)

    assert (figures["start_p50_s"], figures["start_p95_s"], figures["start_min_s"]) == (4, 9, 3)
    assert figures["server_cpu_p50_s"] == pytest.approx(2)
    assert (figures["runs"], figures["others_cpu_cores"]) == (3, 0)
