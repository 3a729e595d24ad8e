FROM busybox
CMD ["echo", "a b", "\"q\""]
