"""The encrypted tunnel: a process of its own that carries VXLAN packets of encrypted networks between hosts.

The form follows ESP (RFC 4303, with AES-GCM as in RFC 4106) in UDP: a security parameter index, a 64-bit sequence
number that is sent whole, authentication and an anti-replay window. Unlike ESP a message may have up to 64 KiB, which
the kernel has not segmented yet (TSO), and goes in as many datagrams as it takes: one encryption and one call for
dozens of packets. A lost datagram loses its message.

One process for a node, started with its first encrypted network. It outlives the service, as what it carries
does, and ends when no service is connected and it has no keys left.
"""
