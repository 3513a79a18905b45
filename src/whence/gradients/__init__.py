"""Per-example gradients, their products with vectors, and full gradients."""
