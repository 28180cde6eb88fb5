"""Backprop in an editor, by the Debug Adapter Protocol (floor 5).

An editor starts the `adapter`, which starts the program in a process of its own; or it attaches to
a program that waits. In the program a `session` answers, and a `visit` walks each pass.
"""
