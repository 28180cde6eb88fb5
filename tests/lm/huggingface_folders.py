"""Small random models of Hugging Face, as folders that transformers itself has written."""

from pathlib import Path
from typing import Any

import torch
from tokenizers import ByteLevelBPETokenizer
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    GPT2TokenizerFast,
    GPTNeoConfig,
    GPTNeoForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
)

TEXT = "the cat sat on the mat, and the dog's bone was gone. " * 40
SIZES: dict[str, Any] = {"hidden_size": 32, "max_position_embeddings": 64}
NEO: dict[str, Any] = {
    "num_layers": 2,
    "num_heads": 4,
    "attention_types": [[["global", "local"], 1]],
}
LLAMA: dict[str, Any] = {
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
}
GPT2: dict[str, Any] = {"n_positions": 64, "n_embd": 32, "n_layer": 2, "n_head": 4}
# Each family, and each way in which one differs from its neighbours.
CONFIGS: dict[str, Any] = {
    "GPT-2": lambda size: GPT2Config(vocab_size=size, **GPT2),
    "GPT-2, odd": lambda size: GPT2Config(
        vocab_size=size,
        **GPT2,
        n_inner=24,
        activation_function="gelu",
        scale_attn_weights=False,
        tie_word_embeddings=False,
        layer_norm_epsilon=1e-3,
    ),
    "GPT-Neo": lambda size: GPTNeoConfig(vocab_size=size, window_size=8, **SIZES, **NEO),
    "Llama": lambda size: LlamaConfig(
        vocab_size=size, **SIZES, **LLAMA, rms_norm_eps=1e-5, tie_word_embeddings=True
    ),
    "Llama, odd": lambda size: LlamaConfig(
        vocab_size=size,
        **SIZES,
        **LLAMA,
        head_dim=6,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        attention_bias=True,
        mlp_bias=True,
        hidden_act="gelu_new",
    ),
}
CLASSES: dict[str, Any] = {
    "gpt2": GPT2LMHeadModel,
    "gpt_neo": GPTNeoForCausalLM,
    "llama": LlamaForCausalLM,
}


def write_tokenizer(folder: Path) -> int:
    """Train a byte-level BPE, write it, and return the size of its vocabulary."""
    words = ByteLevelBPETokenizer()
    words.train_from_iterator(
        [TEXT], vocab_size=300, special_tokens=["<|endoftext|>"], show_progress=False
    )
    GPT2TokenizerFast(tokenizer_object=words._tokenizer).save_pretrained(folder)
    return int(words.get_vocab_size())


def write_model(folder: Path, name: str, **how: Any) -> Any:
    """Write a model in float64, with a tokenizer, and return it."""
    config = CONFIGS[name](write_tokenizer(folder))
    torch.manual_seed(1)
    model = CLASSES[config.model_type](config).double()
    with torch.no_grad():  # so that no gain of 1 and no bias of 0 hides a mistake
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    model.save_pretrained(folder, **how)
    return model
