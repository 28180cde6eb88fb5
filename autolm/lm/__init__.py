"""The language model: tokenizers, corpora, TinyLM, training and sampling (floor 3)."""
