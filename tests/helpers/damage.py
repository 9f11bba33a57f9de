"""Damages to files, for tests of what broken ones lead to.

RAM_TF_FAULT_CASES says how many damages each kind of file gets (40).
"""

import os

import hypothesis
from hypothesis import strategies as st

CASES = int(os.environ.get("RAM_TF_FAULT_CASES", "40"))


@st.composite
def damages(draw):
    """Returns a function that damages bytes, at a place given as a fraction."""
    place = draw(st.floats(0, 1, exclude_max=True))
    length = draw(st.integers(1, 64))
    kind = draw(st.sampled_from(["flip", "cut", "drop", "insert", "replace", "empty"]))
    noise = draw(st.binary(min_size=1, max_size=32))

    def damage(content):
        if not content:
            return noise
        at = int(place * len(content))
        if kind == "flip":
            byte = bytes([content[at] ^ noise[0]])
            return content[:at] + byte + content[at + 1 :]
        return {
            "cut": content[:at],
            "drop": content[:at] + content[at + length :],
            "insert": content[:at] + noise + content[at:],
            "replace": content[:at] + noise + content[at + len(noise) :],
            "empty": b"",
        }[kind]

    return damage


def with_cases(share=1):
    """Returns a decorator that gives a Hypothesis test `share` times CASES cases."""
    return hypothesis.settings(
        max_examples=max(1, int(share * CASES)),
        deadline=None,
        database=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
