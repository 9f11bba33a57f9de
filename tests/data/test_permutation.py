"""Permutations: one to one, and as uniform as their keys."""

import numpy as np
import pytest
import tensorflow as tf

from ram_tf.data.permutation import ROUNDS, permute


def permutations(count, number, seed=0):
    """Returns int64 [number, count]: random permutations of count places."""
    keys = tf.random.stateless_uniform(
        [number, ROUNDS], [seed, 1], None, None, tf.uint32
    )
    places = np.tile(np.arange(count), number)
    found = permute(places, tf.repeat(keys, count, axis=0), count)
    return found.numpy().reshape(number, count)


def assert_uniform(table, freedom):
    expected = table.mean()
    statistic = ((table - expected) ** 2 / expected).sum()
    # Mean plus 5 standard deviations of the chi-square distribution.
    assert statistic < freedom + 5 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("count", [1, 2, 3, 12, 43, 100, 9000])
def test_permute_is_one_to_one(count):
    for found in permutations(count, 3):
        np.testing.assert_array_equal(np.sort(found), np.arange(count))


def test_permute_of_a_large_set_stays_inside():
    count = 2**31 - 1
    places = np.arange(count - 1000, count)
    keys = np.zeros([1000, ROUNDS], np.uint32)
    found = permute(places, keys, count).numpy()
    assert found.min() >= 0 and found.max() < count
    assert len(set(found)) == 1000


def test_permute_reads_any_place_alone():
    whole = permutations(50, 1)[0]
    keys = tf.random.stateless_uniform([1, ROUNDS], [0, 1], None, None, tf.uint32)
    for place in (0, 17, 49):
        assert permute(np.array([place]), keys, 50).numpy() == whole[place]


def test_permute_takes_every_place_everywhere_equally_often():
    count, number = 11, 4000
    found = permutations(count, number)
    table = np.stack([np.bincount(column, minlength=count) for column in found.T])
    # Rows and columns of the table are fixed.
    assert_uniform(table, (count - 1) ** 2)


def test_permute_separates_neighbours():
    count = 43
    found = permutations(count, 2000)
    steps = np.diff(found, axis=1) % count
    table = np.bincount(steps.reshape(-1), minlength=count)
    assert table[0] == 0
    assert_uniform(table[1:], count - 2)


def test_permute_gives_all_permutations_of_a_small_set():
    found = permutations(4, 3000)
    assert len({permutation.tobytes() for permutation in found}) == 24


def test_permute_differs_by_every_key():
    keys = np.zeros([1, ROUNDS], np.uint32)
    places = np.arange(200)
    first = permute(places, np.repeat(keys, 200, 0), 200).numpy()
    for word in range(ROUNDS):
        for bit in (0, 9, 31):
            others = keys.copy()
            others[0, word] ^= np.uint32(1 << bit)
            other = permute(places, np.repeat(others, 200, 0), 200).numpy()
            assert not np.array_equal(first, other)
