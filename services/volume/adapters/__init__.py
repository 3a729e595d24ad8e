"""What touches the host: folders, mounts, the record of users."""
