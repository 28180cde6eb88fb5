"""The debugger in an editor, by the Debug Adapter Protocol.

An editor starts the `adapter`, which starts the program in its own process; or it attaches to a
program that waits. In the program, a `session` answers and a `pass_handler` walks each pass.
"""
