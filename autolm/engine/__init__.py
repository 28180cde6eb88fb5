"""Nodes, the chain rule, and one number: what all else stands on (floor 0).

Read `graph.py`, then `backprop.py`, then `value.py`: one sitting. Only the standard library may be
imported here, and nothing of autolm above; what must be reached up there goes through `hooks.py`.
"""
