"""G.711 in both laws, over every code and every sample."""

import warnings

import numpy as np
import pytest

from parley.core.g711 import from_alaw, from_ulaw, to_alaw, to_ulaw

CODES = bytes(range(256))
SAMPLES = np.arange(-32768, 32768).astype(np.int16)


def test_every_code_means_what_the_standard_library_says():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop", reason="Python 3.13 has none")

    assert from_ulaw(CODES) == audioop.ulaw2lin(CODES, 2)
    assert from_alaw(CODES) == audioop.alaw2lin(CODES, 2)


@pytest.mark.parametrize("there, back", [(to_ulaw, from_ulaw), (to_alaw, from_alaw)])
def test_no_sample_changes_by_more_than_half_a_step_of_its_segment(there, back):
    heard = np.frombuffer(back(there(SAMPLES.tobytes())), dtype=np.int16).astype(int)

    off = np.abs(heard - SAMPLES)
    assert np.all(off <= np.maximum(np.abs(SAMPLES.astype(int)) / 30, 9) + 4)


def test_digital_silence_stays_silence():
    assert max(np.abs(np.frombuffer(from_ulaw(to_ulaw(bytes(320))), dtype=np.int16))) == 0
    assert max(np.abs(np.frombuffer(from_alaw(to_alaw(bytes(320))), dtype=np.int16))) <= 8
