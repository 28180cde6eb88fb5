"""Workloads of `python demos/benchmarks`, one file for each."""
