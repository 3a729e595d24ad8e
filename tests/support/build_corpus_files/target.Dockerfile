FROM busybox AS a
ENV A=1
FROM busybox AS b
ENV B=1
