"""What is decided about images: values in, values out, no I/O."""
