"""The laws, in files by what they are about; `autolm.testing.registry` lists them in order."""
