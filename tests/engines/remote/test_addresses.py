"""Which addresses are next door: what --offline may ask, and what no proxy stands before."""

from __future__ import annotations

import pytest

from parley.engines.remote.addresses import is_nearby


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000",
        "http://127.0.0.1:8000",
        "http://[::1]:8000",
        "ws://192.168.1.9:2700",
        "http://10.0.0.5",
        "http://169.254.3.4",
        "http://[fd00::1]/v1",
        "http://ollama:11434",
        "http://ollama.:11434",
        "http://studio.local:11434",
        "http://Studio.LOCAL.:11434",
        "http://host.docker.internal:11434",
        "http://llm.corp.internal",
        "http://nas.home.arpa",
        "tcp://whisper.localhost:10300",
    ],
)
def test_this_machine_private_addresses_and_names_of_a_network_are_near(url: str) -> None:
    assert is_nearby(url)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.openai.com/v1",
        "http://8.8.8.8",
        "http://[2001:4860:4860::8888]",
        "http://local.example.com",
        "http://internal.example.com",
        "http://notlocal.com",
        "http://home.arpa.example",
    ],
)
def test_names_and_addresses_of_the_internet_are_far(url: str) -> None:
    assert not is_nearby(url)
