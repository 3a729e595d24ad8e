FROM busybox
COPY outside /o
