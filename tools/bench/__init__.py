"""Measures engines that speak the Docker Remote API side by side, and the floor beneath them."""
