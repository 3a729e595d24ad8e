"""Hosts, brokers and services of a cluster are killed and lines cut, while clients work on all of its sockets."""
