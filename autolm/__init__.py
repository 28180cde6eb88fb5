"""autolm: the mathematics of training a language model, to watch, draw and prove."""
