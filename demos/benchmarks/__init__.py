"""What `python demos/benchmarks` measures: each workload is a file of its own."""
