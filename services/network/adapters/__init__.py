"""What touches the host: netlink, namespaces, nftables, sockets, files."""
