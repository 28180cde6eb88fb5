"""Rules written from the public documentation alone, before the laws that test them.

The laws are never tuned to an entry: a rule that is missed stays in the table, marked by nobody. Each
module is one round, and every entry has the date on which it was written.
"""
