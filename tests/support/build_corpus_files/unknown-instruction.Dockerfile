FROM busybox
NOPE x
