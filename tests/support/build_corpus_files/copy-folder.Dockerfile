FROM busybox
COPY d /new
COPY d/ /etc/
COPY d /var/data
