"""Functions of other libraries that bring their own backward, held against the laws."""
