"""What a model says of a text that grows is what it says of the whole text, each time."""

from typing import Any

import numpy as np
import pytest

from autolm import Tensor
from autolm.lm.reading import Reading
from autolm.lm.tinylm import TinyLM
from autolm.nn import KeyValueCache

TEXT = np.random.default_rng(0).integers(0, 6, size=14)
KINDS = [
    {"norm": norm, "causal": causal} for norm in ("pre", "post", None) for causal in (True, False)
]


def model_of(num_heads: int = 2, **options: Any) -> TinyLM:
    return TinyLM(6, 8, num_heads, 16, 2, max_len=9, seed=1, **options)


def positions_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Return a list to which each model then adds how many positions it embeds at once."""
    counts, embed = list[int](), TinyLM.embed

    def counting(self: TinyLM, token_ids: Any, first: int = 0) -> Tensor:
        counts.append(len(token_ids))
        return embed(self, token_ids, first)

    monkeypatch.setattr(TinyLM, "embed", counting)
    return counts


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("num_heads", [1, 4])
@pytest.mark.parametrize("prompt", [1, 3])
def test_each_logit_is_that_of_the_whole_text_also_past_max_len(
    kind: dict[str, Any], num_heads: int, prompt: int
) -> None:
    model = model_of(num_heads, **kind)
    reading = model.reading()
    for end in range(prompt, len(TEXT) + 1):
        whole = model.forward(TEXT[max(0, end - 9) : end])[0].data[-1]
        logits = reading.next_logits(TEXT[:end])
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, whole, rtol=1e-6, atol=1e-6)


def test_only_new_tokens_are_read_until_the_window_slides(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, reading = positions_read(monkeypatch), model_of().reading()
    for end in (3, 4, 7, 8, 9, 10, 11):
        reading.next_logits(TEXT[:end])
    assert counts == [3, 1, 3, 1, 1, 9, 9]


def test_a_model_that_looks_ahead_reads_everything_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    counts, reading = positions_read(monkeypatch), model_of(causal=False).reading()
    for end in (3, 4, 5):
        reading.next_logits(TEXT[:end])
    assert counts == [3, 4, 5]


@pytest.mark.parametrize("other", [[5, 5, 5, 5], [1], [2, 3], [2, 3, 4]])
def test_a_text_that_does_not_go_on_from_the_last_is_read_from_its_beginning(
    other: list[int],
) -> None:
    model = model_of()
    reading = Reading(model)
    reading.next_logits(np.array([2, 3, 4]))
    logits = reading.next_logits(np.array(other))
    np.testing.assert_allclose(logits, model.next_logits(np.array(other)), rtol=1e-6, atol=1e-6)


def test_nothing_is_recorded() -> None:
    logits = model_of().reading().next_logits(TEXT[:2])
    assert isinstance(logits, np.ndarray)
    assert logits.shape == (6,)


def test_what_was_read_does_not_change_with_the_callers_array() -> None:
    model, tokens = model_of(), TEXT[:4].copy()
    reading = model.reading()
    reading.next_logits(tokens[:3])
    tokens[0] = (tokens[0] + 1) % 6
    logits = reading.next_logits(tokens)
    np.testing.assert_allclose(logits, model.next_logits(tokens), rtol=1e-6, atol=1e-6)


def test_a_cache_refuses_what_a_gradient_should_get_through() -> None:
    rows = Tensor(np.ones((1, 2)))
    with pytest.raises(RuntimeError, match=r"KeyValueCache: .* has no gradient; use no_grad\(\)"):
        KeyValueCache(3, 2).extend(rows, rows)
