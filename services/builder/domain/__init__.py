"""What a build decides: values in, values out."""
