"""What `python demos/benchmark.py` measures: each workload is a file of its own."""
