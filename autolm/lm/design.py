"""How a pretrained transformer is built, read from the `config.json` of Hugging Face.

Three families are known, each a decoder with a norm before each part: GPT-2, GPT-Neo and Llama.
What a configuration asks for beyond them is refused by its name, since a model that ignored it
would compute something else.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

ACTIVATIONS = {  # which of autolm's each name of theirs is
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}


MOST_LAYERS = 4096


class PretrainedError(ValueError):
    """A folder of a pretrained model cannot be used; one line says why."""


@dataclass(frozen=True)
class Design:
    """All that a transformer is, besides its numbers.

    Attributes
    ----------
    family
        "gpt2", "gpt_neo" or "llama".
    vocab_size, d_model, num_layers, num_heads, d_ff, max_len
        See `TinyLM`.
    num_kv_heads
        Heads of keys and values.
    head_size
        Width of a head.
    activation
        "gelu", "gelu_tanh", "relu" or "silu"; of the gate, if there is one.
    eps
        Of the norms.
    windows
        Of each layer how many positions it sees, or None for all.
    scale
        Of the scores; None for 1/√head_size.
    rope_base
        How slowly the last pair turns; None where positions are learned.
    is_gated
        Whether feed-forward has a gate, and norms are RMS norms, as in Llama.
    qkv_biases, output_biases, feed_forward_biases
        Which matrices have biases.
    is_tied
        Whether the embedding is the output matrix too.
    """

    family: str
    vocab_size: int
    d_model: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_size: int
    d_ff: int
    max_len: int
    activation: str
    eps: float
    windows: tuple[int | None, ...]
    scale: float | None
    rope_base: float | None
    is_gated: bool
    qkv_biases: bool
    output_biases: bool
    feed_forward_biases: bool
    is_tied: bool

    @property
    def name(self) -> str:
        """Name the model as its family."""
        return {"gpt2": "GPT-2", "gpt_neo": "GPT-Neo", "llama": "Llama"}[self.family]

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter, by its path in `Transformer`."""
        d, keys = self.d_model, self.num_kv_heads * self.head_size
        queries = self.num_heads * self.head_size
        norm = ("gain",) if self.is_gated else ("gain", "bias")
        linear = {
            "attention.q": (d, queries, self.qkv_biases),
            "attention.k": (d, keys, self.qkv_biases),
            "attention.v": (d, keys, self.qkv_biases),
            "attention.output": (queries, d, self.output_biases),
            "feed_forward.gate": (d, self.d_ff, self.feed_forward_biases),
            "feed_forward.up": (d, self.d_ff, self.feed_forward_biases),
            "feed_forward.down": (self.d_ff, d, self.feed_forward_biases),
        }
        if not self.is_gated:
            del linear["feed_forward.gate"]
        shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (self.vocab_size, d)}
        if self.rope_base is None:
            shapes["position_embedding.weight"] = (self.max_len, d)
        for i in range(self.num_layers):
            for name in ("norm_1", "norm_2"):
                shapes |= {f"blocks.{i}.{name}.{own}": (d,) for own in norm}
            for name, (rows, columns, has_bias) in linear.items():
                shapes[f"blocks.{i}.{name}.weight"] = (rows, columns)
                if has_bias:
                    shapes[f"blocks.{i}.{name}.bias"] = (columns,)
        shapes |= {f"norm.{own}": (d,) for own in norm}
        if not self.is_tied:
            shapes["head.weight"] = (d, self.vocab_size)
        return shapes


def design_of(config: Mapping[str, Any]) -> Design:
    """Read a configuration.

    Raises
    ------
    PretrainedError
        For one that is of no known family, is damaged, or asks for what is not supported.

    Examples
    --------
    >>> design_of({"model_type": "gpt2", "vocab_size": 5, "n_embd": 4, "n_head": 2}).d_ff
    16
    """
    read = Reader(config)
    families = {"gpt2": _gpt2, "gpt_neo": _gpt_neo, "llama": _llama}
    family = config.get("model_type")
    if not isinstance(family, str) or family not in families:
        raise PretrainedError(
            f"model_type is {family!r}, which is not supported: {', '.join(families)} are"
        )
    read.refuse_all_but(
        quantization_config=(None,), is_encoder_decoder=(None, False), add_cross_attention=(False,)
    )
    design = families[family](read)
    if design.num_heads % design.num_kv_heads:
        raise PretrainedError(
            f"num_attention_heads {design.num_heads} is not divisible by num_key_value_heads "
            f"{design.num_kv_heads}"
        )
    return design


class Reader:
    """Takes values out of a configuration, and says which is wrong."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def size(self, name: str, default: int | None = None) -> int:
        """Take a whole number above 0."""
        value = self.config.get(name)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
            raise PretrainedError(f"{name} is {value!r}, and must be a whole number above 0")
        return value

    def layers(self, name: str) -> int:
        """Take the number of layers, each of which will have a name."""
        layers = self.size(name)
        if layers > MOST_LAYERS:
            raise PretrainedError(f"{name} is {layers}: more than {MOST_LAYERS} is not supported")
        return layers

    def number(self, name: str, default: float) -> float:
        """Take a finite number above 0."""
        value = self.config.get(name, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value <= sys.float_info.max:
            raise PretrainedError(f"{name} is {value!r}, and must be a number above 0")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Take a yes or no."""
        value = self.config.get(name, default)
        if not isinstance(value, bool):
            raise PretrainedError(f"{name} is {value!r}, and must be true or false")
        return value

    def activation(self, name: str, default: str) -> str:
        """Take the name of an activation."""
        value = self.config.get(name, default)
        if not isinstance(value, str) or value not in ACTIVATIONS:
            raise PretrainedError(
                f"{name} {value!r} is not supported: {', '.join(ACTIVATIONS)} are"
            )
        return ACTIVATIONS[value]

    def refuse_all_but(self, **allowed: tuple[Any, ...]) -> None:
        """Refuse what is asked for and not supported; each may be absent."""
        for name, values in allowed.items():
            value = self.config.get(name, values[0])
            if value not in values:
                raise PretrainedError(f"{name} {value!r} is not supported")

    def head_size(self, heads: str, width: str) -> int:
        """Take the width of a head, which the heads must divide the width into."""
        if self.size(width) % self.size(heads):
            raise PretrainedError(
                f"{width} {self.size(width)} is not divisible by {heads} {self.size(heads)}"
            )
        return self.size(width) // self.size(heads)


def _gpt2(read: Reader) -> Design:
    read.refuse_all_but(scale_attn_by_inverse_layer_idx=(False,))
    read = Reader({"n_embd": 768, "n_head": 12, "n_layer": 12, **read.config})
    width, heads, layers = read.size("n_embd"), read.size("n_head"), read.layers("n_layer")
    return Design(
        family="gpt2",
        vocab_size=read.size("vocab_size", 50257),
        d_model=width,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=heads,
        head_size=read.head_size("n_head", "n_embd"),
        d_ff=read.size("n_inner", 4 * width),
        max_len=read.size("n_positions", 1024),
        activation=read.activation("activation_function", "gelu_new"),
        eps=read.number("layer_norm_epsilon", 1e-5),
        windows=(None,) * layers,
        scale=None if read.flag("scale_attn_weights", True) else 1.0,
        rope_base=None,
        is_gated=False,
        qkv_biases=True,
        output_biases=True,
        feed_forward_biases=True,
        is_tied=read.flag("tie_word_embeddings", True),
    )


def _gpt_neo(read: Reader) -> Design:
    width, layers = read.size("hidden_size"), read.layers("num_layers")
    window = read.size("window_size", 256)
    kinds = _kinds_of_layers(read.config.get("attention_types"), layers)
    return Design(
        family="gpt_neo",
        vocab_size=read.size("vocab_size", 50257),
        d_model=width,
        num_layers=layers,
        num_heads=read.size("num_heads"),
        num_kv_heads=read.size("num_heads"),
        head_size=read.head_size("num_heads", "hidden_size"),
        d_ff=read.size("intermediate_size", 4 * width),
        max_len=read.size("max_position_embeddings", 2048),
        activation=read.activation("activation_function", "gelu_new"),
        eps=read.number("layer_norm_epsilon", 1e-5),
        windows=tuple(window if kind == "local" else None for kind in kinds),
        scale=1.0,
        rope_base=None,
        is_gated=False,
        qkv_biases=False,
        output_biases=True,
        feed_forward_biases=True,
        is_tied=read.flag("tie_word_embeddings", True),
    )


def _kinds_of_layers(types: Any, layers: int) -> list[str]:
    """Spell GPT-Neo's [[["global", "local"], 6]] out, layer by layer."""
    kinds: list[Any] = []
    match types:
        case [*groups] if all(isinstance(group, list) and len(group) == 2 for group in groups):
            for names, count in groups:
                if not isinstance(names, list) or type(count) is not int:
                    break
                if len(kinds) + len(names) * count > layers:
                    break
                kinds += names * count
    if len(kinds) != layers or not all(kind in ("global", "local") for kind in kinds):
        raise PretrainedError(
            f"attention_types {types!r} does not say of {layers} layers which is global and which "
            "local"
        )
    return kinds


def _llama(read: Reader) -> Design:
    rope = read.config.get("rope_parameters") or read.config.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise PretrainedError(f"rope_parameters is {rope!r}, and must be an object")
    how = Reader({**read.config, **rope})
    how.refuse_all_but(rope_type=("default",), type=("default",), partial_rotary_factor=(1.0,))
    heads, layers = read.size("num_attention_heads"), read.layers("num_hidden_layers")
    size = read.config.get("head_dim")
    if size is None:
        size = read.head_size("num_attention_heads", "hidden_size")
    biased = read.flag("attention_bias", False)
    return Design(
        family="llama",
        vocab_size=read.size("vocab_size"),
        d_model=read.size("hidden_size"),
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=read.size("num_key_value_heads", heads),
        head_size=Reader({"head_dim": size}).size("head_dim"),
        d_ff=read.size("intermediate_size"),
        max_len=read.size("max_position_embeddings", 2048),
        activation=read.activation("hidden_act", "silu"),
        eps=read.number("rms_norm_eps", 1e-6),
        windows=(None,) * layers,
        scale=None,
        rope_base=how.number("rope_theta", 10_000.0),
        is_gated=True,
        qkv_biases=biased,
        output_biases=biased,
        feed_forward_biases=read.flag("mlp_bias", False),
        is_tied=read.flag("tie_word_embeddings", False),
    )
