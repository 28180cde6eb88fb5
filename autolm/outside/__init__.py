"""Files, locks, terminals and languages: the interface to the machine and the user (layer 0).

Files are written atomically, and untrusted files are checked before they are read. Text from other
sources is printed without control characters. Imports only the standard library.
"""
