"""Rules written from the public documentation alone, before the laws that test them.

The laws are not tuned to entries: a rule that is missed stays in the table. Every entry has the
date on which it was written.
"""
