FROM busybox
COPY y.txt z.md /f
