"""How the course is made of the lessons: read, run, put into two languages, written as pages.

`build.py` beside this folder is the one command; each file here is one part of its work.
"""
