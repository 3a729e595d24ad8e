"""What touches the host: mounts, processes, control groups, streams."""
