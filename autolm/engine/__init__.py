"""Nodes, the chain rule, and Value: the base of all other packages (layer 0).

Read `graph.py`, `backprop.py` and `value.py`, in this order. The rest can wait: `fast_values.py` is
the backward pass once more, for graphs of a million Values; `recording.py` and `location.py` note
where a program created a node; `watching.py` lets debuggers replace `backward`; `micrograd.py` has
the names of micrograd's programs.

Importing this package loads the standard library only. Functions that name or show nodes import
higher packages when they are called.
"""
