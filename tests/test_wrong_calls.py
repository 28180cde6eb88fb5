"""A wrong argument of a public function is refused in autolm's own words, which name it.

Each function stands here once, with an argument of each kind that it takes. Every odd value is
tried in the place of every argument: where the kind has a meaning for it, the call may do as it
likes, and otherwise a `raise` of autolm's must end it.
"""

from __future__ import annotations

import dis
import inspect
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from autolm import Tape, Tensor, Value, compiled, debugger, drawing, lm, nn, pages, walking
from autolm.debugger import debug
from autolm.drawing import Drawing, draw, render
from autolm.lm import (
    TOY_LANGUAGE,
    BPETokenizer,
    CharacterTokenizer,
    Corpus,
    EntropyBaselines,
    TinyLM,
    entropy_baselines,
    load_pretrained,
    load_tokenizer,
    text_file_corpus,
    tokenizers,
    toy_language_corpus,
)
from autolm.lm.batches import (
    LineBatches,
    StreamBatches,
    line_evaluation_batches,
    stream_evaluation_batches,
)
from autolm.lm.corpora import standard_input_corpus
from autolm.lm.decoding import KVCachedDecoder
from autolm.lm.encoding import encode_corpus
from autolm.lm.grammar import Grammar
from autolm.lm.next_token import pick
from autolm.lm.sampling import stream_text
from autolm.lm.text_loss import text_loss
from autolm.lm.tokenizers import tokenizer_from_json
from autolm.pages import player
from autolm.walking import Walk, blame_nonfinite, edit, explain
from autolm.walking.breakpoints import Breakpoint, StepSelection
from autolm.walking.tokens import Tokens

ODD: list[Any] = [
    *(None, "", "a", "Pre", "\0", b"a", True, np.True_, 1j, object(), str, repr),
    *(math.nan, math.inf, -math.inf, -1, -0.5, 0, 0.5, 1, 2.5, 1e300, 10**30, -(10**30)),
    *([], (), {}, [None], ["a"], [1, "a"], [[1], [1, 2]], [1j], [0.5], [-1], [10**30], [True]),
    *({"a": 1}, {"a": {}}, {1: 2}, {"a": [1]}, (0.9,), (0.9, 0.99, 0.999), (0.9, 1.0)),
    *(np.zeros((2, 3)), np.array("a"), np.array(1j), np.zeros(0), np.zeros((1, 1, 1), int)),
    *(Value(1.0), Tensor(1.0), Tensor([[1.0, 2.0]]), [Value(1.0)], [Tensor(1.0) * 2]),
]


@dataclass
class Argument:
    """A right value, made anew for each call, and which others have a meaning."""

    make: Callable[[], Any]
    has_meaning: Callable[[Any], bool]


def is_number(value: Any) -> bool:
    kinds = (int, float, np.integer, np.floating)
    return isinstance(value, kinds) and not isinstance(value, bool)


def holds_one_number(value: Any) -> bool:
    value = value.data if isinstance(value, Value | Tensor) else value
    if isinstance(value, list) and len({np.shape(each) for each in value}) > 1:
        return False
    try:
        array = np.asarray(value)
    except (TypeError, ValueError):  # a list of Tensors
        return False
    return array.size == 1 and array.dtype.kind in "biuf"


def holds_a_letter(value: Any) -> bool:
    return isinstance(value, str) or (isinstance(value, list | dict) and list(value) == ["a"])


def holds_only_bytes(values: Any) -> bool:
    kinds = (str, bytes, list, tuple, dict)
    empty = isinstance(values, np.ndarray) and values.size == 0 and values.ndim == 1
    return empty or (
        isinstance(values, kinds) and all(type(v) is int and 0 <= v < 256 for v in values)
    )


def count(good: int, low: int = 0, high: float = math.inf) -> Argument:
    return Argument(lambda: good, lambda v: type(v) is int and low <= v <= high)


def size(good: int, low: int = 1) -> Argument:
    return count(good, low, 2**31)


def number(good: float, low: float = -math.inf, high: float = math.inf, **open: bool) -> Argument:
    def has_meaning(value: Any) -> bool:
        if not is_number(value) or not abs(value) < math.inf:
            return False
        above = value > low if open.get("above") else value >= low
        return bool(above and (value < high if open.get("below") else value <= high))

    return Argument(lambda: good, has_meaning)


def flag(good: bool) -> Argument:
    return Argument(lambda: good, lambda v: isinstance(v, bool | np.bool_))


def text(good: str) -> Argument:
    return Argument(lambda: good, lambda v: isinstance(v, str))


def holds_only_texts(value: Any) -> bool:
    if isinstance(value, np.ndarray) and value.ndim != 1:
        return False
    is_many = isinstance(value, list | tuple | np.ndarray)
    return is_many and all(isinstance(each, str) for each in value)


def choice(good: str | None, *other_axes: str | None) -> Argument:
    return Argument(lambda: good, lambda v: v is None and None in other_axes)


def path(good: str) -> Argument:
    return Argument(lambda: good, lambda v: isinstance(v, str) and v != "" and "\0" not in v)


def only(make: Callable[[], Any]) -> Argument:
    return Argument(make, lambda v: False)


def lists(make: Callable[[], Any]) -> Argument:
    """Say of an argument that some lists and arrays have a meaning for it."""
    return Argument(make, lambda v: isinstance(v, list | tuple | np.ndarray))


def held(make: Callable[[], Any]) -> Argument:
    """Say of an argument that any array of floats with two axes has a meaning for it."""
    return Argument(make, lambda v: isinstance(v, np.ndarray) and v.ndim == 2)


def optional(argument: Argument) -> Argument:
    return Argument(argument.make, lambda v: v is None or argument.has_meaning(v))


def node(make: Callable[[], Any]) -> Argument:
    return Argument(make, lambda v: isinstance(v, Value | Tensor))


DTYPE = only(lambda: "float64")
RNG = only(lambda: np.random.default_rng(0))
SEED = count(0)
KIND = choice("lines")
FRACTION = number(0.5, 0, 1, above=True, below=True)
WIDTH, WORDS = 4, "a cat sat on a mat"


def rows(*shape: int) -> Tensor:
    return Tensor(np.ones(shape))


def constant(*shape: int) -> Tensor:
    return Tensor(np.ones(shape), requires_grad=False)


def model() -> TinyLM:
    return TinyLM(7, WIDTH, 2, 8, 1, max_len=6, seed=0)


def adam() -> nn.Adam:
    return nn.Adam([("w", rows(2))], 0.1)


def graph() -> Value:
    x = Value(2.0, name="x")
    return x * x + x


def walk() -> Walk:
    return Walk(graph())


def walked() -> Walk:
    at_end = walk()
    at_end.goto(2)
    return at_end


def bpe() -> BPETokenizer:
    return BPETokenizer.train(WORDS, 2)


def characters() -> CharacterTokenizer:
    return CharacterTokenizer.train(WORDS + "\n")


def tape() -> Tape:
    w, x = Value(1.0), Value(2.0)
    return Tape(w * x, inputs=[x], parameters=[w])


def holds_nothing(value: Any) -> bool:
    """Whether this is a list, or an array, of nothing."""
    empty = isinstance(value, list | tuple) and not value
    return empty or (isinstance(value, np.ndarray) and value.shape[:1] == (0,))


PARAMETERS = Argument(lambda: [rows(2)], lambda v: False)
QUESTION = Argument(lambda: None, lambda v: v is None or callable(v))
STOPS = Argument(lambda: None, lambda v: v is None or holds_nothing(v))
RATE = number(0.1, low=0)
BETAS = only(lambda: (0.9, 0.99))
X = Argument(lambda: rows(3, WIDTH), lambda v: False)
IDS, DOCUMENTS = lists(lambda: [1, 2, 3]), lists(lambda: [[1, 2], [3]])
LAYER = {"dtype": DTYPE, "eps": number(1e-5, low=0), "d_model": size(WIDTH)}
PART = {"rng": RNG, "output_scale": number(0.5), "dtype": DTYPE, "d_model": size(WIDTH)}
BLOCK = {"norm": choice("pre", None), "causal": flag(True), "num_heads": size(2), "d_ff": size(8)}
DRAWN = {
    "depth": optional(count(1)),
    "focus": Argument(lambda: None, lambda v: v is None or isinstance(v, str | Value | Tensor)),
    "radius": count(1),
    "expand": Argument(lambda: "", lambda v: isinstance(v, str | list | tuple)),
    "edges": choice("forward"),
    "max_boxes": count(5, low=1),
    "max_span": count(5),
}
SIZES = Argument(
    lambda: [3, 1],
    lambda v: (
        isinstance(v, list | tuple) and v and all(type(each) is int and each > 0 for each in v)
    ),
)
DIRECTED = DRAWN | {"direction": choice("auto"), "width": count(5, low=1)}
BUDGET = {"max_boxes": only(lambda: 5), "max_span": only(lambda: 5)}
DRAWING_NODE = node(graph)
SAMPLED = {
    "temperature": number(1.0, low=0),
    "top_k": optional(count(2, low=1)),
    "top_p": optional(number(0.9, 0, 1, above=True)),
}
NODES = Argument(
    tuple, lambda v: isinstance(v, str | bytes | list | tuple | dict | np.ndarray | Tensor)
)
LABEL = Argument(lambda: str, callable)
LEAF = Value(2.0, name="x")
ROOT = LEAF * LEAF + LEAF
GRAD = Argument(lambda: 1.0, lambda v: v is None or holds_one_number(v))

# What is called, made anew each time, and its arguments.
RECORDED = {
    "loss_function": LABEL,
    "optimizer": only(adam),
    "clip": optional(Argument(lambda: 1.0, lambda v: is_number(v) and v > 0)),
    "gradients": flag(False),
}
CALLS: dict[str, tuple[Callable[[], Callable[..., Any]], Mapping[str, Argument]]] = {
    "nn.Optimizer": (lambda: nn.Optimizer, {"parameters": PARAMETERS, "learning_rate": RATE}),
    "nn.SGD": (
        lambda: nn.SGD,
        {
            "parameters": PARAMETERS,
            "learning_rate": RATE,
            "momentum": number(0.5, 0, 1, below=True),
        },
    ),
    "nn.Adam": (
        lambda: nn.Adam,
        {
            "parameters": PARAMETERS,
            "learning_rate": RATE,
            "betas": BETAS,
            "eps": number(1e-8, low=0),
        },
    ),
    "nn.AdamW": (
        lambda: nn.AdamW,
        {
            "parameters": PARAMETERS,
            "learning_rate": RATE,
            "betas": BETAS,
            "eps": number(1e-8, low=0),
            "weight_decay": number(0.1, low=0),
        },
    ),
    "nn.Optimizer.load_state": (lambda: adam().load_state, {"state": only(lambda: adam().state())}),
    "nn.Module.load_state": (lambda: model().load_state, {"state": only(lambda: model().state())}),
    "nn.clip_gradients": (
        lambda: nn.clip_gradients,
        {
            "parameters": PARAMETERS,
            "max_norm": Argument(lambda: 1.0, lambda v: is_number(v) and v > 0),
        },
    ),
    "nn.gradient_norm": (lambda: nn.gradient_norm, {"parameters": PARAMETERS}),
    "nn.schedule": (
        lambda: nn.schedule,
        {
            "name": choice("linear"),
            "learning_rate": RATE,
            "total_steps": count(5),
            "warmup_steps": count(2),
            "final_learning_rate": RATE,
        },
    ),
    "nn.schedule.rate": (lambda: nn.schedule("linear", 0.1, 5), {"step": count(1)}),
    "nn.MLP": (lambda: nn.MLP, {"nin": size(2), "nouts": SIZES}),
    "nn.LayerNorm": (lambda: nn.LayerNorm, LAYER),
    "nn.RMSNorm": (lambda: nn.RMSNorm, LAYER),
    "nn.Linear": (
        lambda: nn.Linear,
        {
            "d_in": size(WIDTH),
            "d_out": size(3),
            "bias": flag(True),
            "rng": optional(RNG),
            "dtype": DTYPE,
        },
    ),
    "nn.Linear.forward": (lambda: nn.Linear(WIDTH, 3).forward, {"x": X}),
    "nn.Embedding": (
        lambda: nn.Embedding,
        {"vocab_size": size(7), "d_model": size(WIDTH), "rng": optional(RNG), "dtype": DTYPE},
    ),
    "nn.Embedding.forward": (
        lambda: nn.Embedding(7, WIDTH).forward,
        {
            "token_ids": Argument(
                IDS.make, lambda v: IDS.has_meaning(v) or (type(v) is int and 0 <= v < 7)
            )
        },
    ),
    "nn.MultiHeadAttention": (
        lambda: nn.MultiHeadAttention,
        {**PART, "num_heads": size(2), "causal": flag(True)},
    ),
    "nn.FeedForward": (lambda: nn.FeedForward, {**PART, "d_ff": size(8)}),
    "nn.Block": (lambda: nn.Block, {**PART, **BLOCK}),
    "nn.LayerNorm.forward": (lambda: nn.LayerNorm(WIDTH).forward, {"x": X}),
    "nn.RMSNorm.forward": (lambda: nn.RMSNorm(WIDTH).forward, {"x": X}),
    "nn.MultiHeadAttention.forward": (
        lambda: nn.MultiHeadAttention(WIDTH, 2, rng=RNG.make()).forward,
        {"x": X, "cache": optional(only(lambda: None))},
    ),
    "nn.FeedForward.forward": (
        lambda: nn.FeedForward(WIDTH, 8, rng=RNG.make()).forward,
        {"x": X},
    ),
    "nn.Block.forward": (
        lambda: nn.Block(WIDTH, 2, 8, rng=RNG.make()).forward,
        {"x": X, "cache": optional(only(lambda: None))},
    ),
    "nn.KeyValueCache": (
        lambda: nn.KeyValueCache,
        {"max_len": size(5), "d_model": size(WIDTH), "dtype": DTYPE},
    ),
    "nn.KeyValueCache.extend": (
        lambda: nn.KeyValueCache(5, WIDTH).extend,
        {"keys": only(lambda: constant(2, WIDTH)), "values": only(lambda: constant(2, WIDTH))},
    ),
    "nn.KeyValueCache.make_room": (
        lambda: nn.KeyValueCache(5, WIDTH).make_room,
        {"end": size(5, low=0)},
    ),
    "nn.sinusoidal_positions": (
        lambda: nn.sinusoidal_positions,
        {"max_len": size(5), "d_model": size(WIDTH), "dtype": DTYPE},
    ),
    "lm.TinyLM": (
        lambda: TinyLM,
        {
            **BLOCK,
            "vocab_size": size(7),
            "d_model": size(WIDTH),
            "num_layers": size(1, low=0),
            "max_len": size(6),
            "dtype": DTYPE,
            "seed": optional(SEED),
        },
    ),
    "lm.TinyLM.forward": (
        lambda: model().forward,
        {"token_ids": IDS, "store_activations": flag(True)},
    ),
    "lm.TinyLM.compute_loss": (
        lambda: model().compute_loss,
        {"token_ids": IDS, "target_ids": IDS},
    ),
    "lm.TinyLM.train_step": (
        lambda: model().train_step,
        {"token_ids": IDS, "target_ids": IDS, "learning_rate": RATE},
    ),
    "lm.TinyLM.generate": (
        lambda: model().generate,
        {
            **SAMPLED,
            "token_ids": IDS,
            "max_new_tokens": size(2, low=0),
            "rng": optional(RNG),
        },
    ),
    "lm.TinyLM.embed": (lambda: model().embed, {"token_ids": IDS, "first": count(0)}),
    "lm.TinyLM.unembed": (lambda: model().unembed, {"x": X}),
    "lm.TinyLM.next_logits": (lambda: model().next_logits, {"token_ids": IDS}),
    "lm.TinyLM.sequence": (lambda: model().sequence, {"token_ids": IDS}),
    "lm.KVCachedDecoder": (lambda: KVCachedDecoder, {"model": only(model)}),
    "lm.KVCachedDecoder.next_logits": (
        lambda: KVCachedDecoder(model()).next_logits,
        {"token_ids": IDS},
    ),
    "lm.pick": (
        lambda: pick,
        {**SAMPLED, "logits": lists(lambda: np.array([0.0, 1.0])), "rng": RNG},
    ),
    "lm.stream_text": (
        lambda: lambda **options: list(stream_text(**options)),
        {
            **SAMPLED,
            "model": only(lambda: TinyLM(9, WIDTH, 2, 8, 1, seed=0)),
            "tokenizer": only(characters),
            "kind": KIND,
            "prompt": text("a"),
            "max_new_tokens": size(2, low=0),
            "rng": RNG,
        },
    ),
    "lm.text_loss": (
        lambda: text_loss,
        {
            "model": only(lambda: TinyLM(9, WIDTH, 2, 8, 1, seed=0)),
            "tokenizer": only(characters),
            "kind": KIND,
            "text": text("a cat"),
        },
    ),
    "lm.CharacterTokenizer": (
        lambda: CharacterTokenizer,
        {
            "characters": Argument(
                lambda: "abc",
                holds_a_letter,
            )
        },
    ),
    "lm.CharacterTokenizer.train": (lambda: CharacterTokenizer.train, {"text": text("abc")}),
    "lm.CharacterTokenizer.encode": (lambda: characters().encode, {"text": text("cat")}),
    "lm.CharacterTokenizer.token_bytes": (lambda: characters().token_bytes, {"token_id": count(1)}),
    "lm.CharacterTokenizer.from_json": (
        lambda: CharacterTokenizer.from_json,
        {"content": only(lambda: characters().to_json())},
    ),
    "lm.BPETokenizer": (
        lambda: BPETokenizer,
        {
            "merges": lists(lambda: [(97, 98)]),
            "split": choice("gpt", None),
            "special_tokens": lists(lambda: ["<end>"]),
        },
    ),
    "lm.BPETokenizer.train": (
        lambda: BPETokenizer.train,
        {
            "text": Argument(lambda: WORDS, lambda v: isinstance(v, str) or holds_only_texts(v)),
            "num_merges": count(2),
            "split": choice("gpt", None),
            "special_tokens": lists(lambda: ["<end>"]),
        },
    ),
    "lm.BPETokenizer.encode": (
        lambda: bpe().encode,
        {"text": text("cat"), "allow_special": flag(True)},
    ),
    "lm.BPETokenizer.encode_iterable": (
        lambda: lambda pieces, **options: list(bpe().encode_iterable(pieces, **options)),
        {
            "pieces": Argument(lambda: [WORDS, " cat"], holds_only_texts),
            "allow_special": flag(True),
        },
    ),
    "lm.BPETokenizer.token_bytes": (lambda: bpe().token_bytes, {"token_id": count(1)}),
    "lm.BPETokenizer.from_json": (
        lambda: BPETokenizer.from_json,
        {"content": only(lambda: bpe().to_json())},
    ),
    "lm.Tokenizer.decode": (
        lambda: bpe().decode,
        {"token_ids": Argument(lambda: [1, 2], holds_only_bytes)},
    ),
    "lm.Tokenizer.save": (lambda: bpe().save, {"path": path("a.json")}),
    "lm.load_tokenizer": (lambda: load_tokenizer, {"path": path("a.json")}),
    "lm.load_pretrained": (
        lambda: load_pretrained,
        {"folder": path("none"), "dtype": optional(DTYPE)},
    ),
    "lm.tokenizer_from_json": (
        lambda: tokenizer_from_json,
        {"content": Argument(lambda: bpe().to_json(), lambda v: isinstance(v, dict))},
    ),
    "lm.Corpus": (
        lambda: Corpus,
        {
            "name": text("a"),
            "train": text("a\n"),
            "validation": text("b\n"),
            "kind": KIND,
            "true_entropy": optional(number(0.5, low=0)),
        },
    ),
    "lm.EntropyBaselines": (
        lambda: EntropyBaselines,
        {name: number(0.5, low=0) for name in ("uniform", "unigram", "bigram", "trigram")},
    ),
    "lm.entropy_baselines": (
        lambda: entropy_baselines,
        {"token_ids": IDS, "vocab_size": count(7, low=1), "boundary_id": optional(count(0))},
    ),
    "lm.toy_language_corpus": (
        lambda: toy_language_corpus,
        {"seed": SEED, "train_sentences": size(2), "validation_sentences": size(2)},
    ),
    "lm.text_file_corpus": (
        lambda: text_file_corpus,
        {"path": path("a.txt"), "kind": KIND, "validation_fraction": FRACTION, "seed": SEED},
    ),
    "lm.standard_input_corpus": (
        lambda: standard_input_corpus,
        {
            "stream": only(lambda: io.BytesIO(b"a\nb\n")),
            "kind": KIND,
            "validation_fraction": FRACTION,
            "seed": SEED,
        },
    ),
    "lm.encode_corpus": (
        lambda: encode_corpus,
        {
            "corpus": only(lambda: Corpus("a", "a\n", "a\n", "lines")),
            "tokenizer": only(characters),
        },
    ),
    "lm.StreamBatches": (
        lambda: StreamBatches,
        {"token_ids": IDS, "block_size": size(2), "batch_size": size(2), "seed": SEED},
    ),
    "lm.LineBatches": (
        lambda: LineBatches,
        {
            "documents": DOCUMENTS,
            "boundary_id": count(0),
            "block_size": size(2),
            "batch_size": size(2),
            "seed": SEED,
        },
    ),
    "lm.StreamBatches.restore": (
        lambda: StreamBatches(range(9), 2, 2, 0).restore,
        {"state": only(lambda: {"batch": 1})},
    ),
    "lm.LineBatches.restore": (
        lambda: LineBatches([[1, 2]], 0, 2, 2, 0).restore,
        {"state": only(lambda: {"epoch": 0, "row": 1})},
    ),
    "lm.stream_evaluation_batches": (
        lambda: stream_evaluation_batches,
        {"token_ids": IDS, "block_size": size(2), "batch_size": size(2)},
    ),
    "lm.line_evaluation_batches": (
        lambda: line_evaluation_batches,
        {
            "documents": DOCUMENTS,
            "boundary_id": count(0),
            "block_size": size(2),
            "batch_size": size(2),
        },
    ),
    "lm.Grammar": (
        lambda: Grammar,
        {"weighted_rules": only(lambda: {"sentence": {"a": 1.0, "b": 2.0}})},
    ),
    "lm.Grammar.sample": (lambda: TOY_LANGUAGE.sample, {"rng": RNG}),
    "lm.Grammar.contains": (lambda: TOY_LANGUAGE.contains, {"sentence": text("a")}),
    "lm.Grammar.log_probability": (lambda: TOY_LANGUAGE.log_probability, {"sentence": text("a")}),
    "walking.Walk": (
        lambda: Walk,
        {
            "root": node(graph),
            "grad": GRAD,
            "retain_grads": optional(flag(True)),
            "segment": optional(count(2, low=1)),
        },
    ),
    "walking.Walk.gradient_so_far": (
        lambda: walk().gradient_so_far,
        {"node": node(lambda: Value(1.0))},
    ),
    "walking.Walk.restore_grad": (lambda: walk().restore_grad, {"node": node(lambda: Value(1.0))}),
    "debugger.debug": (
        lambda: debug,
        {
            "root": node(graph),
            "grad": GRAD,
            "retain_grads": optional(flag(True)),
            "segment": optional(count(2, low=1)),
        },
    ),
    "walking.Walk.goto": (
        lambda: walked().goto,
        {"k": count(2, high=2), "edge": count(0, high=1), "interrupted": QUESTION},
    ),
    "walking.Walk.run": (
        lambda: walked().run,
        {"stops": STOPS, "until": QUESTION, "interrupted": QUESTION},
    ),
    "walking.Walk.run_back": (
        lambda: walk().run_back,
        {"stops": STOPS, "until": QUESTION, "interrupted": QUESTION},
    ),
    "walking.Walk.out": (
        lambda: walked().out,
        {"scope": text("a"), "stops": STOPS, "interrupted": QUESTION},
    ),
    "walking.Walk.back_out": (
        lambda: walk().back_out,
        {"scope": text("a"), "stops": STOPS, "interrupted": QUESTION},
    ),
    "walking.Walk.breakpoints_here": (lambda: walk().breakpoints_here, {"stops": STOPS}),
    "walking.Walk.consumers": (lambda: walk().consumers, {"node": node(lambda: Value(1.0))}),
    "walking.Walk.uses": (lambda: walk().uses, {"node": node(lambda: Value(1.0))}),
    "walking.Walk.explain": (
        lambda: walk().explain,
        {"node": node(lambda: Value(1.0)), "paths": count(1)},
    ),
    "walking.Walk.break_at": (
        lambda: walk().break_at,
        {
            "op": optional(text("mul")),
            "name": optional(text("x")),
            "scope": optional(text("a")),
            "when": QUESTION,
            "line": Argument(lambda: None, lambda v: v is None or (type(v) is str and not v)),
            "nonfinite": flag(True),
            "watch": optional(node(lambda: Value(1.0))),
        },
    ),
    "walking.Walk.set": (
        lambda: Walk(ROOT).set,
        {"node": node(lambda: LEAF), "data": GRAD},
    ),
    "walking.Edit.text": (lambda: edit(ROOT, LEAF, 2.0).text, {"label": LABEL}),
    "walking.Explanation.text": (
        lambda: explain(LEAF, ROOT).text,
        {"label": LABEL, "most": optional(count(20))},
    ),
    "walking.Walk.add": (
        lambda: walk().add,
        {"breakpoint": only(lambda: Breakpoint(StepSelection("always", (0,))))},
    ),
    "walking.Walk.grad_before_pass": (
        lambda: walk().grad_before_pass,
        {"leaf": node(lambda: Value(1.0))},
    ),
    "drawing.Drawing": (lambda: Drawing, {"root": node(graph)}),
    "drawing.Drawing.view": (lambda: Drawing(graph()).view, DRAWN | {"grad": flag(False)}),
    "drawing.Drawing.dot": (lambda: Drawing(graph()).dot, {**DIRECTED, "dark": flag(True)}),
    "drawing.Drawing.render": (
        lambda: Drawing(graph()).render,
        {
            **DIRECTED,
            "path": path("a.dot"),
            "time_limit": number(1.0, 0, 1e9, above=True),
            "dark": flag(True),
        },
    ),
    "drawing.draw": (
        lambda: draw,
        {**DIRECTED, "node": node(graph), "dark": flag(True), "grad": flag(False)},
    ),
    "drawing.render": (
        lambda: render,
        {
            **DIRECTED,
            "node": node(graph),
            "path": path("a.dot"),
            "time_limit": number(1.0, 0, 1e9, above=True),
            "dark": flag(True),
        },
    ),
    "walking.blame_nonfinite": (lambda: blame_nonfinite, {"root": node(graph)}),
    "compiled.Tape": (
        lambda: Tape,
        {
            "loss": node(graph),
            "inputs": lists(list),
            "parameters": lists(list),
            "native": optional(flag(False)),
        },
    ),
    "compiled.recorded": (lambda: compiled.recorded, RECORDED),
    "compiled.RecordedStep": (lambda: compiled.RecordedStep, RECORDED),
    "walking.edit": (
        lambda: edit,
        {
            "root": node(lambda: ROOT),
            "node": node(lambda: LEAF),
            "data": GRAD,
            "grad": GRAD,
            "set_before": NODES,
        },
    ),
    "walking.explain": (
        lambda: explain,
        {
            "node": node(lambda: LEAF),
            "root": optional(node(lambda: ROOT)),
            "grad": GRAD,
            "paths": count(1),
        },
    ),
    "pages.player": (
        lambda: player,
        {
            "loss": node(graph),
            "path": optional(path("no-page.txt")),
            "tokens": optional(only(lambda: Tokens((), {}))),
            "optimizer": optional(only(lambda: nn.SGD([Tensor([1.0])], 0.1))),
            "max_boxes": count(5, low=1),
            "max_span": count(5),
        },
    ),
    "compiled.Tape.forward": (
        lambda: tape().forward,
        {"inputs": Argument(lambda: [1.0], holds_one_number)},
    ),
}


PLACES = [(name, argument) for name, (_, options) in CALLS.items() for argument in options]


ROOMS = {
    "nn": nn,
    "lm": lm,
    "lm.": tokenizers,
    "walking": walking,
    "drawing": drawing,
    "debugger": debugger,
    "pages": pages,
    "compiled": compiled,
}
WITHOUT_A_PLACE = {  # bases, whose subclasses have one; results; what a renderer must be there for
    *(
        "nn.Module.forward",
        "nn.Optimizer.take_step",
        "nn.Optimizer.updated",
        "nn.SGD.updated",
        "nn.AdamW.updated",
    ),
    *("lm.Tokenizer.encode", "lm.Tokenizer.token_bytes", "lm.TinyLM.begin"),
    *("walking.Blame", "walking.Edit", "walking.Explanation"),
    *("drawing.Drawing.svg", "drawing.Drawing.picture"),
}


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Name every function and class that a room exports, and every method of these classes."""
    for room, module in ROOMS.items():
        for name in module.__all__:
            exported = getattr(module, name)
            if not callable(exported):
                continue
            yield f"{room.rstrip('.')}.{name}", exported
            for method in vars(exported) if isinstance(exported, type) else ():
                if not method.startswith("_") and callable(getattr(exported, method)):
                    yield f"{room.rstrip('.')}.{name}.{method}", getattr(exported, method)


@pytest.mark.parametrize(
    ("name", "function"),
    sorted(dict(public_functions()).items()),
    ids=lambda part: part if isinstance(part, str) else "",
)
def test_every_argument_of_a_public_function_has_a_place_here(
    name: str, function: Callable[..., Any]
) -> None:
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    taken = {each.name for each in parameters if each.kind not in kinds} - {"self"}
    if name not in WITHOUT_A_PLACE:
        assert taken <= set(CALLS[name][1] if taken else ())


def ended_by_a_raise_of_ours(error: BaseException) -> bool:
    """Whether the innermost frame is autolm's, and stood at a `raise`."""
    traceback: Any = error.__traceback__
    while traceback.tb_next is not None:
        traceback = traceback.tb_next
    frame = traceback.tb_frame
    operation = frame.f_code.co_code[traceback.tb_lasti]
    ours = frame.f_globals["__name__"].startswith("autolm.")
    return bool(ours and dis.opname[operation] == "RAISE_VARARGS")


def names_it(message: str, argument: str) -> bool:
    words = {argument, argument.replace("_", " "), argument.removesuffix("s")}
    words |= OTHER_WORDS.get(argument, set())
    return any(re.search(rf"\b{word}", message) for word in words)


OTHER_WORDS = {
    "root": {"node"},
    "state": {"optimizer state", "weights", "data cursor"},
    "token_ids": {"token id", "tokens"},
    "documents": {"token_ids"},
    "weighted_rules": {"grammar"},
    "characters": {"character"},
    "content": {"merges", "characters", "kind"},
    "target_ids": {"targets"},
}


def complaint(name: str, argument: str, value: Any) -> str | None:
    """Say what is wrong with the answer to an odd value in the place of one argument."""
    make, options = CALLS[name]
    arguments = {each: right.make() for each, right in options.items()} | {argument: value}
    try:
        make()(**arguments)
    except (TypeError, ValueError, IndexError, OSError) as error:
        what = f"{argument}={value!r}: {type(error).__name__}: {error}"
        if not ended_by_a_raise_of_ours(error):
            return f"not our words: {what}"
        if not options[argument].has_meaning(value) and not names_it(str(error), argument):
            return f"does not name it: {what}"
        return f"no message for people: {what}" if " at 0x" in str(error) else None
    except Exception as error:
        kinds = RuntimeError | FloatingPointError | ModuleNotFoundError
        allowed = isinstance(error, kinds) and ended_by_a_raise_of_ours(error)
        return None if allowed else f"{argument}={value!r}: {type(error).__name__}: {error}"
    return None if options[argument].has_meaning(value) else f"accepted: {argument}={value!r}"


@pytest.mark.table(3)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "argument"), PLACES, ids=lambda part: part)
def test_an_odd_argument_has_a_meaning_or_is_refused_by_name(
    name: str, argument: str, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.stdin", io.StringIO("q\n" * len(ODD)))  # for the debugger
    complaints = filter(None, (complaint(name, argument, value) for value in ODD))
    assert not list(complaints)
