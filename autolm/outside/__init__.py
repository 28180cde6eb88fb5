"""The border to the machine: files, locks, terminals; what comes over it is not trusted (floor 0).

Files are written whole or not at all, and read only if they are files, of a size that can be meant.
Text that comes from elsewhere reaches no terminal with its control characters, and no terminal is
too old for the signs of ours; what is said there is said in the reader's language. Needs the
standard library alone, and knows nothing of graphs.
"""
