"""The debugger in an editor, over the Debug Adapter Protocol.

An editor starts the `adapter`, which starts the program in its own process; or it attaches to a
waiting program. In the program, a `session` answers requests and a `pass_handler` walks each pass.
"""
