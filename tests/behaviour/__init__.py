"""What the product does, told once and run in every runtime."""
