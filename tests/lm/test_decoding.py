"""What a model says of a text that grows is what it says of the whole text, each time."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from autolm import Tensor
from autolm.lm.decoding import BatchDecoder, KVCachedDecoder
from autolm.lm.design import design_of
from autolm.lm.tinylm import TinyLM
from autolm.lm.transformer import Transformer
from autolm.nn.layers import Block

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
    decoder = model.decoder()
    for end in range(prompt, len(TEXT) + 1):
        whole = model.forward(TEXT[max(0, end - 9) : end])[0].data[-1]
        logits = decoder.next_logits(TEXT[:end])
        assert logits.dtype == np.float32
        np.testing.assert_allclose(logits, whole, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize(
    ("causal", "read"), [(True, [3, 1, 3, 1, 1, 9, 9]), (False, [3, 4, 7, 8, 9, 9, 9])]
)
def test_a_causal_model_reads_only_new_tokens_until_the_window_slides(
    monkeypatch: pytest.MonkeyPatch, causal: bool, read: list[int]
) -> None:
    counts, decoder = positions_read(monkeypatch), model_of(causal=causal).decoder()
    for end in (3, 4, 7, 8, 9, 10, 11):
        decoder.next_logits(TEXT[:end])
    assert counts == read


@pytest.mark.parametrize("other", [[5, 5, 5, 5], [1], [2, 3], [2, 3, 4]])
def test_a_text_that_does_not_go_on_from_the_last_is_read_from_its_beginning(
    other: list[int],
) -> None:
    model = model_of()
    decoder = KVCachedDecoder(model)
    decoder.next_logits(np.array([2, 3, 4]))
    logits = decoder.next_logits(np.array(other))
    np.testing.assert_allclose(logits, model.next_logits(np.array(other)), rtol=1e-6, atol=1e-6)


def test_what_was_read_does_not_change_with_the_callers_array() -> None:
    model, tokens = model_of(), TEXT[:4].copy()
    decoder = model.decoder()
    decoder.next_logits(tokens[:3])
    tokens[0] = (tokens[0] + 1) % 6
    logits = decoder.next_logits(tokens)
    np.testing.assert_allclose(logits, model.next_logits(tokens), rtol=1e-6, atol=1e-6)


# Natively: one row, recorded

GPT2 = {"model_type": "gpt2", "vocab_size": 6, "n_embd": 8, "n_head": 2, "n_layer": 2}
NEO = {
    **{"model_type": "gpt_neo", "vocab_size": 6, "hidden_size": 8, "num_heads": 2},
    **{"num_layers": 2, "window_size": 3, "attention_types": [[["global", "local"], 1]]},
    "max_position_embeddings": 12,
}
LLAMA = {
    **{"model_type": "llama", "vocab_size": 6, "hidden_size": 8, "num_attention_heads": 2},
    **{"num_hidden_layers": 1, "intermediate_size": 8, "max_position_embeddings": 12},
}


def pretrained(config: dict[str, Any]) -> Transformer:
    design, rng = design_of(config), np.random.default_rng(0)
    shapes = dict(design.parameter_shapes())
    arrays = {path: rng.normal(size=shape).astype("float32") for path, shape in shapes.items()}
    return Transformer(design, arrays)


MODELS: dict[str, Callable[[], Any]] = {
    "pre": lambda: model_of(),
    "post": lambda: model_of(norm="post"),
    "none": lambda: model_of(4, norm=None),
    "GPT-2": lambda: pretrained({**GPT2, "n_positions": 12}),
    "GPT-Neo, with a window": lambda: pretrained(NEO),
}


@pytest.mark.parametrize("kind", MODELS)
def test_recorded_each_logit_is_the_plain_one_and_so_is_each_token(kind: str) -> None:
    pytest.importorskip("numba")
    model = MODELS[kind]()
    decoder = model.decoder(recorded=True)
    for end in (3, 4, 5, 7, 8, 9, 12, 13):  # past max_len, and by several at once
        logits = decoder.next_logits(TEXT[:end])
        whole = model.next_logits(TEXT[:end])
        np.testing.assert_allclose(logits, whole, rtol=0, atol=3e-6 * np.abs(whole).max())
    assert_same_text(model, [[1, 2], [3, 4], [5, 0]], 9)


def assert_same_text(model: Any, prompts: list[list[int]], new: int) -> None:
    """Require the same text plain and natively, and each text as if it were written alone."""
    for compiled in (False, True):
        options: Any = {"temperature": 0, "recorded": compiled}
        together = model.generate(prompts, new, **options)
        alone = [model.generate(prompt, new, **options) for prompt in prompts]
        np.testing.assert_array_equal(together, alone)
        if not compiled:
            plain = together
    np.testing.assert_array_equal(together, plain)


def test_recorded_a_text_may_outgrow_its_first_caches() -> None:
    pytest.importorskip("numba")
    model = TinyLM(6, 8, 2, 8, 2, max_len=140, seed=1)
    model.W_out.data = model.W_out.data * 100
    text = np.random.default_rng(0).integers(0, 6, size=140)
    decoder = model.decoder(recorded=True)
    for ends in ([*range(3, 7), *range(60, 68), 125, *range(127, 133)], [90, 91, 135, 136]):
        for end in ends:
            logits = decoder.next_logits(text[:end])
            whole = model.next_logits(text[:end])
            np.testing.assert_allclose(logits, whole, rtol=0, atol=3e-6 * np.abs(whole).max())
    assert_same_text(model, [[1, 2], [3, 4]], 142)
    assert_same_text(TinyLM(6, 8, 2, 8, 0, max_len=9, seed=1), [[1, 2], [3, 4]], 12)


def test_recorded_a_token_does_not_run_its_layers(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    model = model_of()
    decoder = model.decoder(recorded=True)
    for end in (1, 2):
        decoder.next_logits(TEXT[:end])
    monkeypatch.setattr(Block, "forward", None)
    for end in (3, 4, 5):
        decoder.next_logits(TEXT[:end])


def test_side_by_side_more_tokens_than_were_told_of_are_read_too() -> None:
    pytest.importorskip("numba")
    model = model_of()
    decoder = BatchDecoder(model, 2, 4, recorded=True)
    for end in (3, 4, 5, 6):
        rows = np.array([TEXT[:end], TEXT[1 : end + 1]])
        logits = decoder.next_logits(rows)
        whole = [model.next_logits(row) for row in rows]
        np.testing.assert_allclose(logits, whole, rtol=0, atol=3e-6 * np.abs(whole).max())


def test_recorded_what_depends_on_the_position_is_read_as_before_and_says_why() -> None:
    pytest.importorskip("numba")
    model = pretrained(LLAMA)
    plain = model.generate([1, 2], 6, temperature=0)
    with pytest.warns(UserWarning, match="^decoding is not recorded: leaf 'cos'.* changes"):
        again = model.generate([1, 2], 6, temperature=0, recorded=True)
    np.testing.assert_array_equal(again, plain)
