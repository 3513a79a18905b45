"""Embedding: where a network puts its examples, layer by layer, and how far they lie from one another there."""
