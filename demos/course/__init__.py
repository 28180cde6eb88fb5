"""How the course is made of the lessons: read, run, put into two languages, written as pages.

`demos/build.py` is the command; each file here does one part of its work.
"""
