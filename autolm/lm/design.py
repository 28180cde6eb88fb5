"""What a transformer is besides its numbers: a `Design`, of TinyLM or of a pretrained model.

A pretrained model's is read from the `config.json` of Hugging Face, for three families: GPT-2,
GPT-Neo and Llama. An option that is not supported is refused by name, since a model that ignored it
would compute something else.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from autolm.nn.layers import Norm

ACTIVATIONS = {  # Hugging Face's names, and those of `autolm.nn.layers`
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


@dataclass(frozen=True, kw_only=True)
class Design:
    """Everything that defines a transformer, besides its numbers. The defaults are TinyLM's.

    Attributes
    ----------
    name
        Name of the family: "TinyLM", "GPT-2", "GPT-Neo", "Llama" or "OPT".
    vocab_size, d_model, num_layers, num_heads, d_ff, max_len, norm, causal
        See `TinyLM`.
    num_kv_heads
        Number of heads of keys and values.
    head_size
        Width of a head.
    positions
        Where positions come from: a sinusoidal table, a learned table, or rotation of q and k.
    activation
        "gelu", "gelu_tanh", "relu" or "silu"; with a gate, that of the gate.
    eps
        Of the norms.
    windows
        For each layer how many positions it sees, or None for all; empty if every layer sees all.
    scale
        Factor on the scores; None for 1/√head_size.
    rope_base
        Base of the rotation angles, if positions rotate.
    is_gated
        Whether feed-forward has a gate, and norms are RMS norms, as in Llama.
    qkv_biases, output_biases, feed_forward_biases
        Which matrices have biases.
    is_tied
        Whether the embedding is also the output matrix.
    """

    name: str
    vocab_size: int
    d_model: int
    num_layers: int
    num_heads: int
    num_kv_heads: int
    head_size: int
    d_ff: int
    max_len: int
    norm: Norm = "pre"
    causal: bool = True
    positions: Literal["sinusoidal", "learned", "rotary"] = "sinusoidal"
    activation: str = "relu"
    eps: float = 1e-5
    windows: tuple[int | None, ...] = ()
    scale: float | None = None
    rope_base: float | None = None
    is_gated: bool = False
    qkv_biases: bool = False
    output_biases: bool = False
    feed_forward_biases: bool = False
    is_tied: bool = False

    def parameter_shapes(self) -> Iterator[tuple[str, tuple[int, ...]]]:
        """Yield the path and the shape of each parameter, in the order of the model.

        Examples
        --------
        >>> design = tinylm_design(5, 8, 2, 16, num_layers=10**12)
        >>> next(design.parameter_shapes())
        ('embedding', (5, 8))
        """
        yield "embedding", (self.vocab_size, self.d_model)
        if self.positions == "learned":
            yield "position_embedding", (self.max_len, self.d_model)
        block = self.block_shapes()
        for layer in range(self.num_layers):
            for path, shape in block.items():
                yield f"blocks.{layer}.{path}", shape
        if self.norm == "pre":
            yield from self._norm_shapes("norm")
        if not self.is_tied:
            yield "W_out", (self.d_model, self.vocab_size)

    def block_shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shape of each parameter of a block, by its path in the block."""
        d, d_ff, keys = self.d_model, self.d_ff, self.num_kv_heads * self.head_size
        queries = self.num_heads * self.head_size
        matrices = [
            ("attention", "Q", d, queries, self.qkv_biases),
            ("attention", "K", d, keys, self.qkv_biases),
            ("attention", "V", d, keys, self.qkv_biases),
            ("attention", "O", queries, d, self.output_biases),
            ("feed_forward", "1", d, d_ff, self.feed_forward_biases),
            ("feed_forward", "2", d_ff, d, self.feed_forward_biases),
        ]
        if self.is_gated:
            matrices.append(("feed_forward", "gate", d, d_ff, self.feed_forward_biases))
        shapes: dict[str, tuple[int, ...]] = {}
        for part, name, rows, columns, has_bias in matrices:
            shapes[f"{part}.W_{name}"] = (rows, columns)
            if has_bias:
                shapes[f"{part}.b_{name}"] = (columns,)
        for norm in ("norm_1", "norm_2") if self.norm is not None else ():
            shapes.update(self._norm_shapes(norm))
        return shapes

    def _norm_shapes(self, path: str) -> Iterator[tuple[str, tuple[int, ...]]]:
        yield f"{path}.gain", (self.d_model,)
        if not self.is_gated:
            yield f"{path}.bias", (self.d_model,)


def tinylm_design(
    vocab_size: int,
    d_model: int,
    num_heads: int,
    d_ff: int,
    num_layers: int,
    *,
    max_len: int = 1000,
    norm: Norm = "pre",
    causal: bool = True,
    **_: Any,
) -> Design:
    """Return the design of a `TinyLM` with these arguments; dtype and seed are ignored."""
    return Design(
        name="TinyLM",
        vocab_size=vocab_size,
        d_model=d_model,
        num_layers=num_layers,
        num_heads=num_heads,
        num_kv_heads=num_heads,
        head_size=d_model // num_heads,
        d_ff=d_ff,
        max_len=max_len,
        norm=norm,
        causal=causal,
    )


def design_of(config: Mapping[str, Any]) -> Design:
    """Read the design from a configuration.

    Raises
    ------
    PretrainedError
        If the family is unknown, a value is wrong, or an option is not supported.

    Examples
    --------
    >>> design_of({"model_type": "gpt2", "vocab_size": 5, "n_embd": 4, "n_head": 2}).d_ff
    16
    """
    read = Reader(config)
    families = {"gpt2": _gpt2, "gpt_neo": _gpt_neo, "llama": _llama, "opt": _opt}
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
        name="GPT-2",
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
        scale=None if read.flag("scale_attn_weights", True) else 1.0,
        positions="learned",
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
        name="GPT-Neo",
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
        positions="learned",
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
        name="Llama",
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
        positions="rotary",
        rope_base=how.number("rope_theta", 10_000.0),
        is_gated=True,
        qkv_biases=biased,
        output_biases=biased,
        feed_forward_biases=read.flag("mlp_bias", False),
        is_tied=read.flag("tie_word_embeddings", False),
    )


def _opt(read: Reader) -> Design:
    """Read an OPT as `export` writes it: with norms after each part, and without biases."""
    width, heads = read.size("hidden_size"), read.size("num_attention_heads")
    read = Reader({"do_layer_norm_before": True, "enable_bias": True, **read.config})
    read.refuse_all_but(
        do_layer_norm_before=(False,),
        enable_bias=(False,),
        layer_norm_elementwise_affine=(True,),
        word_embed_proj_dim=(width, None),
    )
    return Design(
        name="OPT",
        vocab_size=read.size("vocab_size", 50272),
        d_model=width,
        num_layers=read.layers("num_hidden_layers"),
        num_heads=heads,
        num_kv_heads=heads,
        head_size=read.head_size("num_attention_heads", "hidden_size"),
        d_ff=read.size("ffn_dim"),
        max_len=read.size("max_position_embeddings", 2048),
        norm="post",
        activation=read.activation("activation_function", "relu"),
        positions="learned",
        is_tied=read.flag("tie_word_embeddings", True),
    )
