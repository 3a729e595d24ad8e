FROM busybox
COPY gone /x
