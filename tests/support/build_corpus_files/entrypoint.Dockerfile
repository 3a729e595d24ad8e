FROM busybox
ENTRYPOINT ["/bin/x", "-a"]
