"""The encrypted tunnel: a process of its own that carries VXLAN packets between hosts whose kernels have no IPsec ESP.

The form is ESP's (RFC 4303, with AES-GCM as in RFC 4106) carried in UDP: a security parameter index, a 64-bit sequence
number sent whole, authentication and an anti-replay window. Unlike ESP a message may be up to 64 KiB, what the kernel
segments last (TSO), and goes in as many datagrams as it takes: one encryption and one call for dozens of packets. A lost
datagram loses its message.

One process for a node, started when it has its first encrypted network. It outlives the service, as what it carries
does, and ends when no service is connected and it has no session left.
"""
