FROM busybox
COPY d/../../y.txt /
