"""Nodes, the chain rule, and one number: the base of all other packages (layer 0).

Read `graph.py`, then `backprop.py`, then `value.py`. Importing this package loads the standard
library only. Functions that name or show nodes import higher packages when they are called.
"""
