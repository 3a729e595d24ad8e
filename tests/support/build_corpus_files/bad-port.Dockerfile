FROM busybox
EXPOSE many
