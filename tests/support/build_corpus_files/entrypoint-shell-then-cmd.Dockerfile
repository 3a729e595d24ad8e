FROM busybox
CMD a
ENTRYPOINT exec top
CMD b
