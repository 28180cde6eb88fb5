"""What an attention keeps is what it was given, however many rows that becomes."""

import numpy as np
import pytest

from autolm import Tensor
from autolm.nn.key_value_cache import KeyValueCache


def test_a_cache_grows_to_its_limit_and_earlier_views_stay() -> None:
    rng = np.random.default_rng(0)
    keys, values = rng.normal(size=(2, 300, 3))
    cache, seen = KeyValueCache(300, 3), []
    for first, end in ((0, 5), (5, 64), (64, 65), (65, 299), (299, 300)):
        new = (Tensor(kept[first:end], False) for kept in (keys, values))
        seen.append((end, *cache.extend(*new)))
    for end, k, v in seen:
        np.testing.assert_array_equal(k.data, keys[:end])
        np.testing.assert_array_equal(v.data, values[:end])
    with pytest.raises(ValueError, match="301 keys are more than max_len 300"):
        cache.extend(Tensor(keys[:1], False), Tensor(values[:1], False))


def test_a_cache_takes_no_memory_for_what_may_never_come() -> None:
    cache = KeyValueCache(2**31 - 1, 2**20, "float32")  # 8 PB, twice
    keys, _ = cache.extend(*[Tensor(np.ones((1, 2**20), np.float32), False)] * 2)
    assert keys.shape == (1, 2**20)
