FROM busybox
COPY y.txt /new/dir/f
COPY y.txt /etc
COPY y.txt /etc/
COPY y.txt z.md /two/
