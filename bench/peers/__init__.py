"""Peers and ours on one question: each in an environment and a process of its own, judged here by one yardstick."""
