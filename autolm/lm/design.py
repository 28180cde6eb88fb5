"""`Design`: the architecture of a transformer, for TinyLM and for pretrained models.

The design of a pretrained model is read from Hugging Face's `config.json`, for three families:
GPT-2, GPT-Neo and Llama. An unsupported option is refused by name, because ignoring it would give
wrong results.
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


MAX_LAYERS = 4096


class PretrainedError(ValueError):
    """A folder of a pretrained model cannot be used; one line says why."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """The architecture of a transformer, without its parameters. Defaults are TinyLM's.

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
        "gelu", "gelu_tanh", "relu" or "silu"; if feed-forward is gated, of the gate.
    eps
        The ε of the norms.
    windows
        For each layer the number of visible positions, None for all; empty if all are None.
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
    reader = ConfigReader(config)
    families = {"gpt2": _gpt2, "gpt_neo": _gpt_neo, "llama": _llama, "opt": _opt}
    family = config.get("model_type")
    if not isinstance(family, str) or family not in families:
        raise PretrainedError(
            f"model_type is {family!r}, which is not supported: {', '.join(families)} are"
        )
    reader.refuse_all_but(
        quantization_config=(None,), is_encoder_decoder=(None, False), add_cross_attention=(False,)
    )
    design = families[family](reader)
    if design.num_heads % design.num_kv_heads:
        raise PretrainedError(
            f"num_attention_heads {design.num_heads} is not divisible by num_key_value_heads "
            f"{design.num_kv_heads}"
        )
    return design


class ConfigReader:
    """Read and validate values of a configuration."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def size(self, name: str, default: int | None = None) -> int:
        """Return an integer above 0."""
        value = self.config.get(name)
        value = default if value is None else value
        if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 2**31:
            raise PretrainedError(f"{name} is {value!r}, and must be a whole number above 0")
        return value

    def layers(self, name: str) -> int:
        """Return the number of layers, at most `MAX_LAYERS`."""
        layers = self.size(name)
        if layers > MAX_LAYERS:
            raise PretrainedError(f"{name} is {layers}: more than {MAX_LAYERS} is not supported")
        return layers

    def number(self, name: str, default: float) -> float:
        """Return a finite number above 0."""
        value = self.config.get(name, default)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not 0 < value <= sys.float_info.max:
            raise PretrainedError(f"{name} is {value!r}, and must be a number above 0")
        return float(value)

    def flag(self, name: str, default: bool) -> bool:
        """Return a boolean."""
        value = self.config.get(name, default)
        if not isinstance(value, bool):
            raise PretrainedError(f"{name} is {value!r}, and must be true or false")
        return value

    def activation(self, name: str, default: str) -> str:
        """Return autolm's name of an activation."""
        value = self.config.get(name, default)
        if not isinstance(value, str) or value not in ACTIVATIONS:
            raise PretrainedError(
                f"{name} {value!r} is not supported: {', '.join(ACTIVATIONS)} are"
            )
        return ACTIVATIONS[value]

    def refuse_all_but(self, **allowed: tuple[Any, ...]) -> None:
        """Raise PretrainedError if an option has a value other than those allowed."""
        for name, values in allowed.items():
            value = self.config.get(name, values[0])
            if value not in values:
                raise PretrainedError(f"{name} {value!r} is not supported")

    def head_size(self, heads: str, width: str) -> int:
        """Return the width of a head; the number of heads must divide the model width."""
        if self.size(width) % self.size(heads):
            raise PretrainedError(
                f"{width} {self.size(width)} is not divisible by {heads} {self.size(heads)}"
            )
        return self.size(width) // self.size(heads)


def _gpt2(reader: ConfigReader) -> Design:
    reader.refuse_all_but(scale_attn_by_inverse_layer_idx=(False,))
    reader = ConfigReader({"n_embd": 768, "n_head": 12, "n_layer": 12, **reader.config})
    width, heads, layers = reader.size("n_embd"), reader.size("n_head"), reader.layers("n_layer")
    return Design(
        name="GPT-2",
        vocab_size=reader.size("vocab_size", 50257),
        d_model=width,
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=heads,
        head_size=reader.head_size("n_head", "n_embd"),
        d_ff=reader.size("n_inner", 4 * width),
        max_len=reader.size("n_positions", 1024),
        activation=reader.activation("activation_function", "gelu_new"),
        eps=reader.number("layer_norm_epsilon", 1e-5),
        scale=None if reader.flag("scale_attn_weights", True) else 1.0,
        positions="learned",
        qkv_biases=True,
        output_biases=True,
        feed_forward_biases=True,
        is_tied=reader.flag("tie_word_embeddings", True),
    )


def _gpt_neo(reader: ConfigReader) -> Design:
    width, layers = reader.size("hidden_size"), reader.layers("num_layers")
    window = reader.size("window_size", 256)
    kinds = _kinds_of_layers(reader.config.get("attention_types"), layers)
    return Design(
        name="GPT-Neo",
        vocab_size=reader.size("vocab_size", 50257),
        d_model=width,
        num_layers=layers,
        num_heads=reader.size("num_heads"),
        num_kv_heads=reader.size("num_heads"),
        head_size=reader.head_size("num_heads", "hidden_size"),
        d_ff=reader.size("intermediate_size", 4 * width),
        max_len=reader.size("max_position_embeddings", 2048),
        activation=reader.activation("activation_function", "gelu_new"),
        eps=reader.number("layer_norm_epsilon", 1e-5),
        windows=tuple(window if kind == "local" else None for kind in kinds),
        scale=1.0,
        positions="learned",
        output_biases=True,
        feed_forward_biases=True,
        is_tied=reader.flag("tie_word_embeddings", True),
    )


def _kinds_of_layers(types: Any, layers: int) -> list[str]:
    """Expand GPT-Neo's [[["global", "local"], 6]] to one kind per layer."""
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


def _llama(reader: ConfigReader) -> Design:
    rope = reader.config.get("rope_parameters") or reader.config.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise PretrainedError(f"rope_parameters is {rope!r}, and must be an object")
    rope_reader = ConfigReader({**reader.config, **rope})
    rope_reader.refuse_all_but(
        rope_type=("default",), type=("default",), partial_rotary_factor=(1.0,)
    )
    heads, layers = reader.size("num_attention_heads"), reader.layers("num_hidden_layers")
    size = reader.config.get("head_dim")
    if size is None:
        size = reader.head_size("num_attention_heads", "hidden_size")
    biased = reader.flag("attention_bias", False)
    return Design(
        name="Llama",
        vocab_size=reader.size("vocab_size"),
        d_model=reader.size("hidden_size"),
        num_layers=layers,
        num_heads=heads,
        num_kv_heads=reader.size("num_key_value_heads", heads),
        head_size=ConfigReader({"head_dim": size}).size("head_dim"),
        d_ff=reader.size("intermediate_size"),
        max_len=reader.size("max_position_embeddings", 2048),
        activation=reader.activation("hidden_act", "silu"),
        eps=reader.number("rms_norm_eps", 1e-6),
        positions="rotary",
        rope_base=rope_reader.number("rope_theta", 10_000.0),
        is_gated=True,
        qkv_biases=biased,
        output_biases=biased,
        feed_forward_biases=reader.flag("mlp_bias", False),
        is_tied=reader.flag("tie_word_embeddings", False),
    )


def _opt(reader: ConfigReader) -> Design:
    """Read an OPT as `export` writes it: with norms after each part, and without biases."""
    width, heads = reader.size("hidden_size"), reader.size("num_attention_heads")
    reader = ConfigReader({"do_layer_norm_before": True, "enable_bias": True, **reader.config})
    reader.refuse_all_but(
        do_layer_norm_before=(False,),
        enable_bias=(False,),
        layer_norm_elementwise_affine=(True,),
        word_embed_proj_dim=(width, None),
    )
    return Design(
        name="OPT",
        vocab_size=reader.size("vocab_size", 50272),
        d_model=width,
        num_layers=reader.layers("num_hidden_layers"),
        num_heads=heads,
        num_kv_heads=heads,
        head_size=reader.head_size("num_attention_heads", "hidden_size"),
        d_ff=reader.size("ffn_dim"),
        max_len=reader.size("max_position_embeddings", 2048),
        norm="post",
        activation=reader.activation("activation_function", "relu"),
        positions="learned",
        is_tied=reader.flag("tie_word_embeddings", True),
    )
