FROM busybox
COPY --chown=alice:staff d /d
COPY --chown=1234 y.txt /n/f
COPY --chown=alice y.txt /g
ADD --chown=0:daemon y.txt /var/data/
